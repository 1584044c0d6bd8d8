//! What is confirmed of copies before something is published that names them.

use std::sync::Arc;

use crate::closure::Digests;
use crate::plan::Copy;
use crate::session::Session;
use oci_copy::copy::{CopyError, Done, Outcome, Side};
use oci_copy::reference::{Digest, Location};
use oci_copy::verify;

/// Confirms that every name that was written is at the target with the digest that was copied. Names that are
/// not have failed; if the run is stopped meanwhile, all have.
pub(super) async fn confirm(session: &Session, copies: &[Copy], outcomes: &mut [Outcome]) {
    let is_lost = outcomes.iter().any(|outcome| outcome.error().is_some());
    if is_lost && session.stop.is_cancelled() {
        return;
    }
    let written: Vec<(usize, (&Location, Digest))> = copies
        .iter()
        .zip(outcomes.iter())
        .enumerate()
        .filter(|(_, (_, outcome))| matches!(outcome.done, Done::Copied))
        .filter_map(|(index, (copy, outcome))| {
            Some((index, (&copy.target, outcome.digest.clone()?)))
        })
        .collect();
    let names: Vec<(&Location, &Digest)> = written
        .iter()
        .map(|(_, (target, digest))| (*target, digest))
        .collect();
    let looked = verify::confirm(&session.stores, &names, session.settings.network.jobs);
    let answers = tokio::select! {
        answers = looked => answers.into_iter().map(Some).collect(),
        () = session.stop.cancelled() => written.iter().map(|_| None).collect::<Vec<_>>(),
    };
    for ((index, _), answer) in written.iter().zip(answers) {
        let error = match answer {
            Some(Ok(())) => continue,
            Some(Err(error)) => CopyError::Step {
                side: Side::Target,
                step: "find the copy",
                reference: copies[*index].target_text.clone(),
                source: Arc::new(error),
            },
            None => CopyError::Stopped,
        };
        outcomes[*index].done = Done::Failed(error);
    }
}

/// Fails the copies whose digest is another one than the values to publish name.
pub(super) fn refuse_moved(pinned: &Digests, copies: &[Copy], outcomes: &mut [Outcome]) {
    for (copy, outcome) in copies.iter().zip(outcomes) {
        let published = pinned.get(&copy.target_text);
        if let (Some(published), Some(found), None) = (published, &outcome.digest, outcome.error())
            && published != found
        {
            outcome.done = Done::Failed(CopyError::Moved {
                reference: copy.source_text.clone(),
                published: published.clone(),
                found: found.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Kind;
    use crate::plan::CopySource;

    #[test]
    fn a_copy_with_another_digest_than_the_published_one_has_failed() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let copy = |name: &str| {
            let location = |host: &str| format!("{host}/{name}:1").parse::<Location>();
            Copy {
                kind: Kind::Image,
                source: CopySource::At(location("quay.io").expect("a name")),
                source_text: format!("quay.io/{name}:1"),
                target: location("r.corp").expect("a name"),
                target_text: format!("r.corp/{name}:1"),
                used_by: Vec::new(),
                expected: None,
            }
        };
        let copies = [copy("same"), copy("moved"), copy("tagged")];
        let mut outcomes = copies.each_ref().map(|_| Outcome {
            digest: Some(digest("new")),
            done: Done::Copied,
            ..Outcome::failed(CopyError::Stopped)
        });
        let pinned = Digests::from([
            ("r.corp/same:1".to_owned(), digest("new")),
            ("r.corp/moved:1".to_owned(), digest("old")),
        ]);
        refuse_moved(&pinned, &copies, &mut outcomes);
        let errors = outcomes.each_ref().map(|outcome| {
            let error = outcome.error();
            error.map(ToString::to_string).unwrap_or_default()
        });
        let [same, moved, tagged] = errors;
        assert_eq!((same.as_str(), tagged.as_str()), ("", ""));
        let words = format!("source: quay.io/moved:1 moved from {} to", digest("old"));
        assert!(moved.starts_with(&words), "{moved}");
    }
}
