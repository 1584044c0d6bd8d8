//! What a reference that was rendered with markers says: which value controls which part of it.

use super::leaf::{Leaf, numbers, split_tag};

/// A value and the text that was written in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marked<'a> {
    pub(super) leaf: &'a Leaf,
    pub(super) marker: &'a str,
}

/// A piece of a rendered reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// Text that no value changed.
    Text(&'a str),
    /// A value as it is.
    Leaf(&'a Leaf),
    /// What a template has made of a value.
    Changed(&'a Leaf),
}

/// A part of a reference, as the marked render tells it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The value itself, and text that the template puts behind it.
    Leaf {
        path: Vec<String>,
        text: String,
        suffix: String,
    },
    /// A value that is empty or has capitals, and the text that the template uses instead.
    Empty { path: Vec<String>, text: String },
    /// Text that no value controls by itself.
    Text(String),
}

/// A reference whose beginning a value controls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    /// What stands before the `/` in front of the repository.
    pub(super) registry: Option<Part>,
    /// The repository, or the whole name, or the whole reference when there is no tag.
    pub(super) repository: Part,
    pub(super) tag: Option<Part>,
}

/// Why a reference cannot be moved with the values that were marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Its beginning is not a value; these values control other parts.
    Beginning(Vec<String>),
    /// A template changes the value of that path.
    Changed(String),
    /// The reference became another one when the values were marked.
    Other,
}

impl Part {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Leaf { text, .. } | Self::Empty { text, .. } | Self::Text(text) => text,
        }
    }
}

/// What a marked reference says of the original one.
pub(super) fn read<'a>(
    original: &str,
    marked: &'a str,
    by_number: &dyn Fn(usize) -> Option<Marked<'a>>,
) -> Result<Shape, Obstacle> {
    let whole = pieces(marked, by_number);
    if let [Piece::Leaf(leaf)] = whole[..] {
        let repository = of_leaf(leaf, original).ok_or(Obstacle::Other)?;
        return Ok(Shape {
            registry: None,
            repository,
            tag: None,
        });
    }
    let ((name, tag), (marked_name, marked_tag)) = (split(original), split(marked));
    let name_pieces = pieces(marked_name, by_number);
    let (registry, repository) = read_name(name, &name_pieces)?;
    let tag = tag.map(|tag| {
        let pieces = marked_tag.map(|marked| pieces(marked, by_number));
        match pieces.as_deref() {
            Some([Piece::Leaf(leaf)]) => of_leaf(leaf, tag),
            _ => None,
        }
        .unwrap_or_else(|| Part::Text(tag.to_owned()))
    });
    Ok(Shape {
        registry,
        repository,
        tag,
    })
}

/// A name, and the tag behind it with its digest. A digest without a tag belongs to the name.
pub(super) fn split(reference: &str) -> (&str, Option<&str>) {
    let name = reference.split('@').next().unwrap_or(reference);
    match split_tag(name) {
        (name, Some(_)) => (name, Some(&reference[name.len() + 1..])),
        (_, None) => (reference, None),
    }
}

fn read_name(name: &str, pieces: &[Piece<'_>]) -> Result<(Option<Part>, Part), Obstacle> {
    let (first, rest) = match pieces {
        [Piece::Leaf(leaf), rest @ ..] => (*leaf, rest),
        [Piece::Changed(leaf), ..] => return Err(Obstacle::Changed(leaf.path().to_string())),
        _ => {
            let leaves = pieces.iter().filter_map(|piece| match piece {
                Piece::Leaf(leaf) | Piece::Changed(leaf) => Some(leaf.path().to_string()),
                Piece::Text(_) => None,
            });
            return Err(Obstacle::Beginning(leaves.collect()));
        }
    };
    let mut behind = String::new();
    for piece in rest {
        match piece {
            Piece::Text(text) => behind.push_str(text),
            Piece::Leaf(leaf) => behind.push_str(&leaf.text),
            Piece::Changed(leaf) => return Err(Obstacle::Changed(leaf.path().to_string())),
        }
    }
    if let ([Piece::Text("/"), Piece::Leaf(second)], true) = (rest, first.text.is_empty())
        && second.text.is_empty()
        && let Some((host, path)) = name.split_once('/')
    {
        // Both are what the template has instead; the last render shows whether they are parted here.
        let empty = |leaf: &Leaf, text: &str| Part::Empty {
            path: leaf.path.clone(),
            text: text.to_owned(),
        };
        return Ok((Some(empty(first, host)), empty(second, path)));
    }
    let text = name
        .strip_suffix(behind.as_str())
        .filter(|text| !text.is_empty());
    let text = text.ok_or(Obstacle::Other)?;
    let Some(repository) = behind.strip_prefix('/') else {
        let repository = if behind.is_empty() {
            of_leaf(first, text)
        } else {
            // What is behind an empty value has no place of its own.
            (first.text == text).then(|| Part::Leaf {
                path: first.path.clone(),
                text: first.text.clone(),
                suffix: behind.clone(),
            })
        };
        return Ok((None, repository.ok_or(Obstacle::Other)?));
    };
    let registry = of_leaf(first, text).ok_or(Obstacle::Other)?;
    let repository = match rest {
        [Piece::Text("/"), Piece::Leaf(leaf)] => of_leaf(leaf, repository),
        _ => None,
    };
    let repository = repository.unwrap_or_else(|| Part::Text(behind[1..].to_owned()));
    Ok((Some(registry), repository))
}

fn of_leaf(leaf: &Leaf, text: &str) -> Option<Part> {
    if leaf.text == text {
        return Some(Part::Leaf {
            path: leaf.path.clone(),
            text: leaf.text.clone(),
            suffix: String::new(),
        });
    }
    // The template can have made small letters of it.
    let is_same = leaf.text.is_empty() || leaf.text.eq_ignore_ascii_case(text);
    is_same.then(|| Part::Empty {
        path: leaf.path.clone(),
        text: text.to_owned(),
    })
}

fn pieces<'a>(marked: &'a str, by_number: &dyn Fn(usize) -> Option<Marked<'a>>) -> Vec<Piece<'a>> {
    let (mut pieces, mut done) = (Vec::new(), 0);
    let mut from = 0;
    // Numbers are looked for one after the other: a marker can hold its own twice.
    while let Some((number, at, length)) = next_number(marked, from) {
        from = at + length;
        let Some(found) = by_number(number) else {
            continue;
        };
        let digits = &marked[at..from];
        let offset = found.marker.find(digits).unwrap_or(0);
        let start = at.checked_sub(offset).filter(|start| *start >= done);
        let whole = start.filter(|start| marked[*start..].starts_with(found.marker));
        let (start, end, piece) = if let Some(start) = whole {
            (start, start + found.marker.len(), Piece::Leaf(found.leaf))
        } else {
            // The letters in front of its number are the marker's, too.
            let before = marked[done..at].strip_suffix(&found.marker[..offset]);
            let start = before.map_or(at, |before| done + before.len());
            (start, from, Piece::Changed(found.leaf))
        };
        if start > done {
            pieces.push(Piece::Text(&marked[done..start]));
        }
        pieces.push(piece);
        (done, from) = (end, from.max(end));
    }
    if done < marked.len() {
        pieces.push(Piece::Text(&marked[done..]));
    }
    pieces
}

fn next_number(text: &str, from: usize) -> Option<(usize, usize, usize)> {
    numbers(text.get(from..)?)
        .next()
        .map(|(number, at, length)| (number, from + at, length))
}
