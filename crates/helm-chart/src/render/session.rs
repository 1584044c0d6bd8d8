//! What renders of one chart share when they follow each other on one thread: the parsed templates, and what was
//! read of documents that come out equal. Neither changes what a render gives.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::images::Image;
use super::manifests::Head;
use super::template::{Error, Parsed, on_own_stack};
use super::value::forget_changed_maps;

/// The most bytes of names and references that are kept, about; the largest public charts need a tenth.
const MAX_KEPT: usize = 4 << 20;

thread_local! {
    static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// A template's name, the address of its text, and the allowed nesting.
type TemplateKey = (String, *const u8, usize);

#[derive(Default)]
struct Shared {
    /// The text is kept, so that no other has its address.
    templates: HashMap<TemplateKey, (Arc<[u8]>, Parsed)>,
    documents: HashMap<[u8; 32], Document>,
    kept: usize,
}

/// What was read of a document.
#[derive(Default)]
struct Document {
    head: Option<Head>,
    images: Option<Vec<Image>>,
}

/// Runs several renders on one thread, with a stack for all of them and with what they can share. Where the system
/// has no room for another thread, each of them says so.
///
/// # Panics
/// When one of the renders panics.
pub fn together<T: Send>(renders: impl FnOnce() -> T + Send) -> T {
    if is_together() {
        return renders();
    }
    let mut renders = Some(renders);
    let mut run = || renders.take().map(|renders| renders());
    let done = on_own_stack(|| {
        SHARED.set(Some(Shared::default()));
        let done = run();
        SHARED.set(None);
        done
    });
    match done.ok().flatten() {
        Some(done) => done,
        None => run().expect("it has not run"),
    }
}

/// Runs one render, on a thread that has the stack for it.
pub(super) fn alone<T: Send>(render: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    if !is_together() {
        return on_own_stack(render);
    }
    let done = render();
    forget_changed_maps();
    Ok(done)
}

fn is_together() -> bool {
    SHARED.with_borrow(Option::is_some)
}

/// A template that was parsed before, or is parsed now.
pub(super) fn template(
    name: &str,
    text: &Arc<[u8]>,
    nesting: usize,
    parse: impl FnOnce() -> Result<Parsed, Error>,
) -> Result<Parsed, Error> {
    if !is_together() {
        return parse();
    }
    let key = (name.to_owned(), text.as_ptr(), nesting);
    let known = with(|shared| shared.templates.get(&key).map(|(_, parsed)| parsed.clone()));
    if let Some(parsed) = known {
        return Ok(parsed);
    }
    let parsed = parse()?;
    let entry = (Arc::clone(text), parsed.clone());
    with(|shared| shared.templates.insert(key, entry));
    Ok(parsed)
}

/// The head of a document, read now or before.
pub(super) fn head(
    content: &str,
    read: impl FnOnce() -> Result<Head, String>,
) -> Result<Head, String> {
    if !is_together() {
        return read();
    }
    let key = key(&[content]);
    let known = with(|shared| shared.documents.get(&key)?.head.clone());
    if let Some(head) = known {
        return Ok(head);
    }
    let head = read()?;
    with(|shared| {
        shared.keep(key, head.size(), |document| {
            document.head = Some(head.clone());
        });
    });
    Ok(head)
}

/// The images of a document of some kind and name, found now or before.
pub(super) fn images(of: &[&str], find: impl FnOnce() -> Vec<Image>) -> Vec<Image> {
    if !is_together() {
        return find();
    }
    let key = key(of);
    let known = with(|shared| shared.documents.get(&key)?.images.clone());
    if let Some(images) = known {
        return images;
    }
    let images = find();
    let size = images.iter().map(Image::size).sum();
    with(|shared| shared.keep(key, size, |document| document.images = Some(images.clone())));
    images
}

/// Texts by their digest, because all of them together are large.
fn key(texts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

fn with<T: Default>(run: impl FnOnce(&mut Shared) -> T) -> T {
    SHARED.with_borrow_mut(|shared| shared.as_mut().map(run).unwrap_or_default())
}

impl Shared {
    /// Keeps something of a document, unless too much is kept already.
    fn keep(&mut self, key: [u8; 32], size: usize, put: impl FnOnce(&mut Document)) {
        const ENTRY: usize = 256;
        if self.kept + ENTRY + size <= MAX_KEPT {
            self.kept += ENTRY + size;
            put(self.documents.entry(key).or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::release::{Options, Rendered, render};
    use super::*;
    use crate::chart::Chart;

    fn chart(values: &str, templates: &[(&str, &str)]) -> Chart {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
        file("values.yaml", values);
        for (name, text) in templates {
            file(&format!("templates/{name}"), text);
        }
        Chart::read_folder(folder.path()).unwrap()
    }

    #[test]
    fn renders_that_follow_each_other_give_what_each_gives_alone() {
        let chart = chart(
            "image: a:1\nlist: [1]\n",
            &[
                (
                    "_h.tpl",
                    "{{ define \"image\" }}{{ $_ := set .Values \"seen\" .Values }}{{ .Values.image }}{{ end }}",
                ),
                (
                    "a.yaml",
                    "kind: Pod\nmetadata: {name: '{{ .Values.seen | default \"none\" | kindOf }}'}\nspec: {image: '{{ include \"image\" . }}'}\n",
                ),
                (
                    "b.yaml",
                    "kind: Pod\nspec: {image: 'b:{{ index .Values.list 0 }}'}\n",
                ),
            ],
        );
        let sets = [
            json!({}),
            json!({"image": "c:2"}),
            json!({"list": [5]}),
            json!({"list": []}),
            json!({}),
        ];
        let one = |values: &Value| render(&chart, values, &Options::default());
        let found = |rendered: &Rendered| (rendered.clone(), rendered.images());
        let alone: Vec<_> = sets
            .iter()
            .map(|set| one(set).map(|one| found(&one)))
            .collect();
        let shared: Vec<_> = together(|| {
            sets.iter()
                .map(|set| one(set).map(|one| found(&one)))
                .collect()
        });
        assert_eq!(alone, shared);
        assert_eq!(alone[0].as_ref().unwrap().1.len(), 2);
        assert!(alone[3].is_err());
    }

    #[test]
    fn what_is_kept_of_documents_is_bounded() {
        let mut shared = Shared::default();
        for number in 0_u32..200_000 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_le_bytes());
            shared.keep(key, 1000, |document| document.images = Some(Vec::new()));
        }
        assert!(shared.kept <= MAX_KEPT && shared.documents.len() < 4_000);
    }
}
