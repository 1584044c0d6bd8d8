//! The laboratory: a registry, a chart repository and the parts of AWS that the replicator talks to,
//! inside the test process and over real HTTP.
//!
//! | module | stands in for |
//! |---|---|
//! | [`registry`] | an OCI distribution 1.1 registry, plain or with the habits of ECR |
//! | [`image`] | images, indexes, attestations and signatures, made on the spot |
//! | [`chart`] | Helm charts and the HTTP repositories that serve them |
//! | [`aws`] | ECR's API, S3, STS, Secrets Manager and CodeBuild, whose builds really run |
//! | [`link`] | a network link of a certain speed |
//! | [`faults`] | a network and servers that misbehave on request |
//! | [`process`] | nothing: it tells how much memory a child process took |
//! | [`wire`] | what was really asked, byte counts included |
//!
//! Every server listens on a free loopback port and stops when it is dropped. Blobs live in files of
//! a temporary folder or are generated while they are served, so memory does not grow with their size.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use lab::{image::Image, registry::Registry};
//!
//! let registry = Registry::start().await?;
//! let app = Image::new()
//!     .platform("linux/amd64")
//!     .platform("linux/arm64")
//!     .layer(4096, 1)
//!     .attestations()
//!     .push(&registry, "library/app", "1.0")?;
//! println!("{}/library/app@{}", registry.host(), app.root.digest);
//! assert!(registry.check_integrity().is_empty());
//! # Ok(())
//! # }
//! ```

pub mod aws;
pub mod chart;
pub mod content;
pub mod faults;
pub mod image;
pub mod link;
pub mod process;
pub mod registry;
mod server;
mod text;
pub mod wire;
