//! Archives in memory, with every damage that a byte can take.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future, stream};

use crate::manifest::{Descriptor, Manifest, media_type};
use crate::store::{Answer, Blob, Error, UploadStart};

use super::*;

/// An archive in memory.
struct Memory(Bytes);

impl Ranges for Memory {
    fn shown(&self) -> String {
        "memory".to_owned()
    }

    fn size(&self) -> Answer<'_, u64> {
        future::ready(Ok(self.0.len() as u64)).boxed()
    }

    fn read(&self, from: u64, length: u64) -> Answer<'_, Blob> {
        let from = usize::try_from(from).unwrap();
        let end = from + usize::try_from(length).unwrap();
        let piece = self.0.slice(from..end);
        future::ready(Ok(stream::iter([Ok(piece)]).boxed())).boxed()
    }

    fn at_once(&self) -> usize {
        1
    }
}

const LAYERS: [&[u8]; 3] = [b"a layer", b"another one", &[7; 700]];

fn image() -> Manifest {
    let descriptors: Vec<Descriptor> = LAYERS
        .iter()
        .map(|layer| Descriptor::of("x", layer))
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": descriptors[0], "layers": descriptors[1..],
    });
    Manifest::parse(None, manifest.to_string().into()).unwrap()
}

fn contents() -> Contents {
    let manifest = image();
    let mut contents = Contents::default();
    contents.document("about/me.txt", "a document");
    let artifact = Artifact {
        root: &manifest,
        manifests: vec![&manifest],
        blobs: manifest.blobs().collect(),
        referrers: Vec::new(),
    };
    contents.artifact("quay.io/team/app:1", "quay.io/team/app", &artifact);
    contents
}

/// Writes the archive to a file, and returns its bytes.
async fn written() -> Bytes {
    use crate::store::Target;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar");
    let writer = Writer::new(&path);
    writer.begin(contents(), None).unwrap();
    for layer in LAYERS.iter().rev() {
        let descriptor = Descriptor::of("x", layer);
        let Ok(UploadStart::Session(session)) = Target::begin(&*writer, &descriptor, None).await
        else {
            panic!("it is there already");
        };
        let content = stream::iter([Ok(Bytes::from_static(layer))]).boxed();
        Target::finish(&*writer, session, &descriptor, content)
            .await
            .unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(&path).unwrap().into()
}

async fn is_whole(bytes: Bytes) -> bool {
    let archive = match Archive::open(Arc::new(Memory(bytes))).await {
        Ok(archive) => archive,
        Err(Error::Archive { .. } | Error::NoArchive { .. }) => return false,
        Err(error) => panic!("{error}"),
    };
    archive.verify(None, |_| {}).await.unwrap().is_empty()
}

#[tokio::test]
async fn every_flipped_byte_is_noticed() {
    let whole = written().await;
    assert!(is_whole(whole.clone()).await);
    for at in 0..whole.len() {
        let mut flipped = whole.to_vec();
        flipped[at] ^= 1 << (at % 8);
        assert!(
            !is_whole(flipped.into()).await,
            "bit {} of byte {at} of {}",
            at % 8,
            whole.len()
        );
    }
}

#[tokio::test]
async fn every_cut_and_every_addition_is_noticed() {
    let whole = written().await;
    for end in 0..whole.len() {
        assert!(
            !is_whole(whole.slice(..end)).await,
            "cut at {end} of {}",
            whole.len()
        );
    }
    for more in [&b"x"[..], &[0; 512], &[0; 10_240]] {
        assert!(!is_whole([&whole[..], more].concat().into()).await);
    }
    // A block that is missing between others, and two that changed places.
    for block in 0..whole.len() / 512 {
        let (start, end) = (block * 512, (block + 1) * 512);
        assert!(!is_whole([&whole[..start], &whole[end..]].concat().into()).await);
        if end + 512 <= whole.len() && whole[start..end] != whole[end..end + 512] {
            let swapped = [
                &whole[..start],
                &whole[end..end + 512],
                &whole[start..end],
                &whole[end + 512..],
            ];
            assert!(!is_whole(swapped.concat().into()).await);
        }
    }
}
