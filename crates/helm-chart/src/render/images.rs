//! Which strings of rendered manifests name container images.
//!
//! - a string under `image`, or under a key that ends in `Image` or `image`, that is a reference, in
//!   any kind, also `volumes[].image.reference`;
//! - a map with `repository` and `tag` or `digest`, and maybe `registry`;
//! - in every other string a reference with a host that has a dot, and a tag or a digest: arguments
//!   (`--prometheus-config-reloader=…`), variables (`RELATED_IMAGE_…`), `ConfigMap`s.
//!
//! `CustomResourceDefinition`s are left out: their texts hold examples.

mod reference;

use std::fmt::Write as _;

use crate::yaml::{self, Kind, Limits, Node};

use super::manifests::{Hook, Manifest};
use super::session;
pub use reference::is_reference;
use reference::{continues, strict};

/// An image that a rendered object names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The reference as it is written.
    pub reference: String,
    /// Where in the object it was found.
    pub place: FieldKind,
    /// The path to the string: `spec.template.spec.containers[0].image`.
    pub field: String,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The template that the object comes from.
    pub template: String,
    /// The moments of a hook; empty for what is not a hook.
    pub hook: Vec<String>,
}

/// What kind of string holds a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldKind {
    /// A field that holds an image.
    Field,
    /// A command or its arguments.
    Args,
    /// The value of an environment variable.
    Env,
    /// Any other text, such as a `ConfigMap`'s.
    Configuration,
}

impl FieldKind {
    /// As it is shown to people: `in args`; empty for a field.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Field => "",
            Self::Args => "in args",
            Self::Env => "in env",
            Self::Configuration => "in configuration",
        }
    }
}

impl Image {
    /// How many bytes its texts have.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.reference, &self.field, &self.kind, &self.name];
        texts.into_iter().map(String::len).sum()
    }

    /// Whether only `helm test` starts it.
    #[must_use]
    pub fn is_test(&self) -> bool {
        !self.hook.is_empty() && self.hook.iter().all(|event| event == "test")
    }
}

/// The images of manifests and hooks, in their order.
#[must_use]
pub fn find(manifests: &[Manifest], hooks: &[Hook]) -> Vec<Image> {
    let mut images = Vec::new();
    for manifest in manifests {
        find_in(manifest, &[], &mut images);
    }
    for hook in hooks {
        find_in(&hook.manifest, &hook.events, &mut images);
    }
    images
}

fn find_in(manifest: &Manifest, hook: &[String], images: &mut Vec<Image>) {
    if manifest.kind == "CustomResourceDefinition" {
        return;
    }
    let of = [&*manifest.content, &*manifest.kind, &*manifest.name];
    let found = session::images(&of, || {
        let mut images = Vec::new();
        // The manifest was read once already, so there is no error left to report here.
        if let Ok(Some(root)) = yaml::first_document(&manifest.content, &Limits::default()) {
            let object = Object {
                kind: manifest.kind.clone(),
                name: manifest.name.clone(),
            };
            let path = String::new();
            let mut walk = Walk {
                images: &mut images,
                path,
            };
            walk.node(&root, &object, "");
        }
        images
    });
    images.extend(found.into_iter().map(|image| Image {
        template: manifest.source.clone(),
        hook: hook.to_vec(),
        ..image
    }));
}

/// The object that a string belongs to.
struct Object {
    kind: String,
    name: String,
}

struct Walk<'a> {
    images: &'a mut Vec<Image>,
    path: String,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, object: &Object, key: &str) {
        match &node.kind {
            Kind::Scalar(_) => {
                if let Some(text) = node.as_text() {
                    self.text(text, object, key);
                }
            }
            Kind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    let length = self.path.len();
                    write!(self.path, "[{index}]").expect("a String takes all text");
                    match inner_object(item, object) {
                        Some(inner) if inner.kind == "CustomResourceDefinition" => {}
                        Some(inner) => self.node(item, &inner, key),
                        None => self.node(item, object, key),
                    }
                    self.path.truncate(length);
                }
            }
            Kind::Mapping(_) => {
                if let Some(reference) = composed(node) {
                    self.add(reference, FieldKind::Field, object);
                }
                for (key_node, value) in node.entries() {
                    let inner = key_node.as_text().unwrap_or_default();
                    // `volumes[].image.reference`
                    let inner_key = if inner == "reference" && key == "image" {
                        "image"
                    } else {
                        inner
                    };
                    let length = self.path.len();
                    if length > 0 {
                        self.path.push('.');
                    }
                    self.path.push_str(inner);
                    // What a field of a container's variable holds is a variable's value.
                    let passed = if key == "env" && inner == "value" {
                        "env"
                    } else {
                        inner_key
                    };
                    self.node(value, object, passed);
                    self.path.truncate(length);
                }
            }
        }
    }

    fn text(&mut self, text: &str, object: &Object, key: &str) {
        let is_image_key = key.ends_with("image") || key.ends_with("Image");
        if is_image_key && is_reference(text) {
            self.add(text.to_owned(), FieldKind::Field, object);
            return;
        }
        let place = match key {
            "args" | "command" => FieldKind::Args,
            "env" => FieldKind::Env,
            _ => FieldKind::Configuration,
        };
        for found in strict().captures_iter(text) {
            let Some(reference) = found.get(1) else {
                continue;
            };
            if !continues(&text[reference.end()..]) {
                self.add(reference.as_str().to_owned(), place, object);
            }
        }
    }

    fn add(&mut self, reference: String, place: FieldKind, object: &Object) {
        self.images.push(Image {
            reference,
            place,
            field: self.path.clone(),
            kind: object.kind.clone(),
            name: object.name.clone(),
            template: String::new(),
            hook: Vec::new(),
        });
    }
}

/// The item of a `List` is an object of its own.
fn inner_object(item: &Node, outer: &Object) -> Option<Object> {
    if !outer.kind.ends_with("List") {
        return None;
    }
    item.get("apiVersion")?;
    let text = |node: Option<&Node>| node.and_then(Node::as_text).unwrap_or_default().to_owned();
    Some(Object {
        kind: text(Some(item.get("kind")?)),
        name: text(
            item.get("metadata")
                .and_then(|metadata| metadata.get("name")),
        ),
    })
}

/// The reference of a map with `repository` and `tag` or `digest`.
fn composed(node: &Node) -> Option<String> {
    let text = |key: &str| {
        let text = node.get(key).and_then(Node::as_text)?;
        (!text.is_empty()).then_some(text)
    };
    let repository = text("repository")?;
    let (tag, digest) = (text("tag"), text("digest"));
    if tag.is_none() && digest.is_none() {
        return None;
    }
    let mut reference = text("registry")
        .map(|host| format!("{host}/"))
        .unwrap_or_default();
    reference.push_str(repository);
    if let Some(tag) = tag {
        reference.push(':');
        reference.push_str(tag);
    }
    if let Some(digest) = digest {
        reference.push('@');
        reference.push_str(digest);
    }
    is_reference(&reference).then_some(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(content: &str) -> Vec<(String, FieldKind, String)> {
        let manifest = Manifest {
            source: "c/templates/x.yaml".to_owned(),
            api_version: String::new(),
            kind: "Deployment".to_owned(),
            name: "d".to_owned(),
            content: content.to_owned(),
        };
        let found = find(&[manifest], &[]).into_iter();
        found
            .map(|image| (image.reference, image.place, image.field))
            .collect()
    }

    fn one(reference: &str, place: FieldKind, field: &str) -> Vec<(String, FieldKind, String)> {
        vec![(reference.to_owned(), place, field.to_owned())]
    }

    #[test]
    fn images_of_containers_and_custom_resources_are_found() {
        assert_eq!(
            images("spec: {template: {spec: {containers: [{image: nginx}]}}}"),
            one(
                "nginx",
                FieldKind::Field,
                "spec.template.spec.containers[0].image"
            )
        );
        assert_eq!(
            images("spec: {baseImage: quay.io/x/y, agentimage: 'a:1'}").len(),
            2
        );
        assert_eq!(
            images("spec: {volumes: [{image: {reference: 'quay.io/x:1', pullPolicy: Always}}]}"),
            one(
                "quay.io/x:1",
                FieldKind::Field,
                "spec.volumes[0].image.reference"
            )
        );
        assert_eq!(
            images("spec: {image: {registry: quay.io, repository: x/y, tag: '1', digest: ''}}"),
            one("quay.io/x/y:1", FieldKind::Field, "spec.image")
        );
        assert!(images("spec: {image: 'Not A Reference', imagePullPolicy: Always}").is_empty());
    }

    #[test]
    fn references_in_other_text_need_a_host_and_a_tag_or_digest() {
        assert_eq!(
            images("spec: {containers: [{args: ['--reloader=quay.io/p/reloader:v0.1']}]}"),
            one(
                "quay.io/p/reloader:v0.1",
                FieldKind::Args,
                "spec.containers[0].args[0]"
            )
        );
        assert_eq!(
            images("spec: {env: [{name: RELATED_IMAGE_X, value: 'ghcr.io/a/b:1'}]}"),
            one("ghcr.io/a/b:1", FieldKind::Env, "spec.env[0].value")
        );
        let text = "data: {config: \"sidecar:\\n  image: docker.io/x/y:1.2\\n  url: https://a.example/b:c\\n\"}";
        assert_eq!(
            images(text),
            one("docker.io/x/y:1.2", FieldKind::Configuration, "data.config")
        );
        for none in [
            "data: {a: 'nginx:1.2'}",
            "data: {a: 'https://example.com/a:b'}",
            "data: {a: 'see example.com/a'}",
            "data: {a: 'name.ns.svc:8080/metrics'}",
            "data: {a: 'example.com/a:80/b'}",
        ] {
            assert!(images(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn definitions_of_custom_resources_are_left_out_and_lists_are_opened() {
        let manifest = |kind: &str, content: &str| Manifest {
            source: String::new(),
            api_version: String::new(),
            kind: kind.to_owned(),
            name: String::new(),
            content: content.to_owned(),
        };
        let crd = manifest("CustomResourceDefinition", "image: quay.io/a/b:1");
        assert!(find(&[crd], &[]).is_empty());
        let list = manifest(
            "List",
            "items: [{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {image: a}}, \
             {apiVersion: v1, kind: CustomResourceDefinition, image: b}]",
        );
        let found = find(&[list], &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].kind.as_str(), found[0].name.as_str()),
            ("Pod", "p")
        );
    }
}
