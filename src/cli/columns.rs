//! Tables that fit a width: the least important columns are left out, and the widest one is shortened.

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its head.
    pub(super) head: &'static str,
    /// Whether numbers stand at its right edge.
    pub(super) right: bool,
    /// What happens where the table is too wide.
    pub(super) fit: Fit,
}

impl Column {
    /// A column whose texts stand at its left edge.
    pub(super) const fn new(head: &'static str, fit: Fit) -> Self {
        Self {
            head,
            right: false,
            fit,
        }
    }
}

/// What happens to a column where the table is too wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It stays as it is.
    Stay,
    /// Its cells lose their beginning. There is one of them.
    Shorten,
    /// It is left out, those with smaller numbers first, if this many characters would not be left for the column
    /// that is shortened.
    Drop(u8, usize),
}

/// A line of a table.
#[derive(Debug, Clone)]
pub(super) enum Line<const N: usize> {
    /// A heading over all columns.
    Heading(String),
    /// Cells.
    Row([String; N]),
}

/// A table as text, and what it does not show.
pub(super) struct Fitted {
    pub(super) text: String,
    /// The heads of the columns that were left out.
    pub(super) dropped: Vec<&'static str>,
    /// Whether cells were shortened.
    pub(super) is_shortened: bool,
}

/// What stands in front of each row below a heading.
const INDENT: &str = "  ";

/// What stands between two columns.
const GAP: &str = "  ";

/// Lays a table out in a width, in characters; without one nothing is left out. Columns without any content are not
/// shown.
pub(super) fn fit<const N: usize>(
    columns: [Column; N],
    lines: &[Line<N>],
    width: Option<usize>,
) -> Fitted {
    let natural = widths(columns, lines);
    let shown = |number: &usize| lines.iter().any(|line| has_content(line, *number));
    let mut shown: Vec<usize> = (0..N).filter(shown).collect();
    let mut widths = natural;
    let mut dropped = Vec::new();
    if let Some(width) = width {
        while let Some(least) = next_to_drop(columns, &shown, natural, width) {
            shown.retain(|number| *number != least);
            dropped.push(columns[least].head);
        }
        let rest = rest(columns, &shown, natural);
        for number in &shown {
            if columns[*number].fit == Fit::Shorten {
                let most = width.saturating_sub(rest).max(columns[*number].head.len());
                widths[*number] = natural[*number].min(most);
            }
        }
    }
    let mut text = row(
        columns,
        &shown,
        widths,
        &columns.map(|one| one.head.to_owned()),
    );
    let mut is_shortened = false;
    for line in lines {
        text.push_str(&match line {
            Line::Heading(heading) => {
                let (heading, is_cut) = cut_end(heading, width.unwrap_or(usize::MAX));
                is_shortened |= is_cut;
                heading + "\n"
            }
            Line::Row(cells) => {
                is_shortened |= shown.iter().any(|one| length(&cells[*one]) > widths[*one]);
                row(columns, &shown, widths, cells)
            }
        });
    }
    dropped.reverse();
    Fitted {
        text,
        dropped,
        is_shortened,
    }
}

/// The column that has to go first, if the rest does not fit.
fn next_to_drop<const N: usize>(
    columns: [Column; N],
    shown: &[usize],
    natural: [usize; N],
    width: usize,
) -> Option<usize> {
    let shortened = shown
        .iter()
        .find(|one| columns[**one].fit == Fit::Shorten)
        .map_or(0, |one| natural[*one]);
    let left = width.saturating_sub(rest(columns, shown, natural));
    let droppable = shown.iter().filter_map(|one| match columns[*one].fit {
        Fit::Drop(order, least) if left < least.min(shortened) => Some((order, *one)),
        _ => None,
    });
    droppable.min().map(|(_, one)| one)
}

/// What all but the shortened column take.
fn rest<const N: usize>(columns: [Column; N], shown: &[usize], natural: [usize; N]) -> usize {
    let fixed = shown
        .iter()
        .filter(|one| columns[**one].fit != Fit::Shorten);
    let fixed: usize = fixed.map(|one| natural[*one]).sum();
    INDENT.len() + fixed + GAP.len() * shown.len().saturating_sub(1)
}

fn has_content<const N: usize>(line: &Line<N>, number: usize) -> bool {
    matches!(line, Line::Row(cells) if !cells[number].is_empty())
}

fn widths<const N: usize>(columns: [Column; N], lines: &[Line<N>]) -> [usize; N] {
    let mut widths = columns.map(|one| one.head.len());
    for line in lines {
        if let Line::Row(cells) = line {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(length(cell));
            }
        }
    }
    widths
}

fn row<const N: usize>(
    columns: [Column; N],
    shown: &[usize],
    widths: [usize; N],
    cells: &[String; N],
) -> String {
    let cells = shown.iter().map(|one| {
        let (width, cell) = (widths[*one], cut_beginning(&cells[*one], widths[*one]));
        if columns[*one].right {
            format!("{cell:>width$}")
        } else {
            format!("{cell:width$}")
        }
    });
    let cells: Vec<String> = cells.collect();
    format!("{INDENT}{}", cells.join(GAP)).trim_end().to_owned() + "\n"
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The end of a name says more than its beginning.
fn cut_beginning(text: &str, width: usize) -> String {
    let length = length(text);
    if length <= width {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length + 1 - width.max(1)).collect();
    format!("…{end}")
}

fn cut_end(text: &str, width: usize) -> (String, bool) {
    if length(text) <= width {
        return (text.to_owned(), false);
    }
    let beginning: String = text.chars().take(width.saturating_sub(1)).collect();
    (format!("{beginning}…"), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column {
            head: "STATE",
            right: false,
            fit: Fit::Stay,
        },
        Column {
            head: "NAME",
            right: false,
            fit: Fit::Shorten,
        },
        Column {
            head: "DRIFT",
            right: false,
            fit: Fit::Drop(2, 10),
        },
        Column {
            head: "SOURCE",
            right: false,
            fit: Fit::Drop(1, usize::MAX),
        },
    ];

    fn lines(name: usize) -> Vec<Line<4>> {
        let row = ["missing", &"n".repeat(name), "a -> b", "elsewhere"];
        vec![
            Line::Heading("a heading".repeat(20)),
            Line::Row(row.map(str::to_owned)),
        ]
    }

    #[test]
    fn no_line_is_wider_than_the_width() {
        for name in [1, 10, 30, 60, 300] {
            for width in 40..200 {
                let table = fit(COLUMNS, &lines(name), Some(width));
                for line in table.text.lines() {
                    assert!(length(line) <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn the_least_important_column_is_left_out_first() {
        let dropped = |width| fit(COLUMNS, &lines(20), Some(width)).dropped;
        assert_eq!(dropped(60), [""; 0]);
        assert_eq!(dropped(49), ["SOURCE"]);
        // The name can be shorter for the sake of the drift, down to ten characters.
        assert_eq!(dropped(29), ["SOURCE"]);
        assert_eq!(dropped(28), ["DRIFT", "SOURCE"]);
        assert_eq!(fit(COLUMNS, &lines(300), None).dropped, [""; 0]);
    }

    #[test]
    fn a_column_without_content_is_not_shown() {
        let row = Line::Row(["present", "x", "", ""].map(str::to_owned));
        let table = fit(COLUMNS, &[row], Some(80));
        assert_eq!(table.text, "  STATE    NAME\n  present  x\n");
    }

    #[test]
    fn a_name_loses_its_beginning() {
        assert_eq!(cut_beginning("quay.io/team/app:1", 8), "…m/app:1");
    }
}
