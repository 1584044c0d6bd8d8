//! The corpus of each fuzz target, replayed: bugs that were found stay fixed.

use std::fs;
use std::path::Path;

use super::Result;
use super::fuzzing::TARGETS;

#[test]
fn every_file_of_every_corpus_is_taken() -> Result {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(corpus.join(name))? {
            target(&fs::read(entry?.path())?);
            files += 1;
        }
        assert!(files > 0, "the corpus of {name} is empty");
    }
    let folders = fs::read_dir(&corpus)?.count();
    assert_eq!(folders, TARGETS.len(), "a corpus without a target");
    Ok(())
}
