//! Problems that have one cause become one problem: twenty charts behind a dead network are one error.

use indexmap::IndexMap;

use super::{Problem, SharedCause};

/// How many hosts are named; the report of a run names all.
const NAMED: usize = 8;

/// Puts problems with a common cause together; the others stay as they are, in their order.
#[must_use]
pub fn group(problems: Vec<Problem>) -> Vec<Problem> {
    let mut groups: IndexMap<String, Vec<Problem>> = IndexMap::new();
    for (number, problem) in problems.into_iter().enumerate() {
        let key = match &problem.shared {
            Some(shared) if shared.is_of_network => shared.why.clone(),
            Some(shared) => format!("{}: {}", shared.host, shared.why),
            None => format!("\0{number}"),
        };
        groups.entry(key).or_default().push(problem);
    }
    groups.into_values().map(merged).collect()
}

fn merged(mut problems: Vec<Problem>) -> Problem {
    let count = problems.len();
    let mut hosts: IndexMap<&str, Vec<&str>> = IndexMap::new();
    let shared = problems
        .iter()
        .filter_map(|problem| problem.shared.as_deref());
    for SharedCause { host, item, .. } in shared {
        hosts.entry(host).or_default().push(item);
    }
    let mut lines: Vec<String> = hosts
        .iter()
        .take(NAMED)
        .map(|(host, items)| format!("{host}: {}", items.join(", ")))
        .collect();
    if hosts.len() > NAMED {
        lines.push(format!("and {} more hosts", hosts.len() - NAMED));
    }
    let first = problems.swap_remove(0);
    let Some(shared) = first.shared.clone().filter(|_| count > 1) else {
        return first;
    };
    lines.extend(first.remedy.clone());
    Problem {
        place: format!("{count} charts cannot be fetched for one reason"),
        what: shared.why,
        remedy: Some(lines.join("\n")),
        ..first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(number: usize, host: &str, why: &str, is_of_network: bool) -> Problem {
        let shared = SharedCause {
            why: why.to_owned(),
            host: host.to_owned(),
            item: format!("chart{number}"),
            is_of_network,
        };
        let problem = Problem::input(format!("place{number}"), format!("what{number}"));
        Problem {
            shared: Some(Box::new(shared)),
            ..problem.remedy("check the network")
        }
    }

    #[test]
    fn twenty_charts_behind_one_dead_network_are_one_problem() {
        let all = (0..20).map(|n| problem(n, &format!("h{}", n % 10), "no connection", true));
        let grouped = group(all.collect());
        let text = grouped[0].to_string();
        assert_eq!((grouped.len(), text.lines().count()), (1, 11), "{text}");
        assert!(text.contains("20 charts") && text.contains("h0: chart0, chart10"));
        assert_eq!(text.matches("check the network").count(), 1);
    }

    #[test]
    fn what_a_host_answers_is_of_that_host() {
        let problems = vec![
            problem(0, "a", "401 Unauthorized", false),
            Problem::input("x", "y"),
            problem(1, "b", "401 Unauthorized", false),
            problem(2, "a", "401 Unauthorized", false),
        ];
        let grouped = group(problems);
        assert_eq!(grouped.len(), 3);
        assert!(grouped[0].place.contains("2 charts"));
        assert_eq!(grouped[2].place, "place1");
    }
}
