//! An OCI image layout in a tar: `tar x` makes the layout folder of it that skopeo (`oci:DIR:NAME`) and oras
//! (`--from-oci-layout`) read.
//!
//! ```text
//! bundle.json.sha256        the checksum of bundle.json, as `sha256sum -c` reads it
//! bundle.json               every following file with its digest, size and offset in the tar
//! oci-layout, index.json    the layout's own files
//! …                         the caller's documents
//! blobs/sha256/…            manifests, then configs and layers, each in the order of their digests
//! ```
//!
//! The sizes and digests of everything are known from the manifests before the first byte is written, so the
//! offsets stand at the front although the tar is written as content arrives. A reader asks for ranges: the
//! front first, then any file by its offset. The same contents give the same bytes: no times, no owners, one
//! order.

mod contents;
mod file;
mod files;
mod index;
mod reader;
mod repository;
mod stream;
mod tar;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use contents::{Artifact, Contents, Referrer, Shape};
pub use files::Files;
pub use index::{Absent, Index, Member};
pub use reader::{Archive, Ranges};
pub use repository::Repository;
pub use stream::BlobSources;
pub use verify::Damage;
pub use writer::Writer;
