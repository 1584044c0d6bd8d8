//! Copies OCI artifacts between registries and image layout folders: every blob once, byte for byte, the
//! tag last.
//!
//! | module | holds |
//! |---|---|
//! | [`reference`](mod@reference) | names, digests and hosts |
//! | [`manifest`] | descriptors, manifests, platforms, and the one walk below a manifest |
//! | [`http`] | the only way to the network: clients, logins, retries, rate limits |
//! | [`store`] | registries and layout folders behind one interface; a [`store::Provider`] says what differs |
//! | [`copy`] | the engine: a preflight, then copies |
//! | [`verify`] | whether what was copied is at the target, whole |
//!
//! It reads no environment variable and no settings; [`http::Network`] says how the network is used. What
//! the HTTP client reads by itself is the system's list of trusted certificates (`SSL_CERT_FILE`,
//! `SSL_CERT_DIR`).
//!
//! A copy from one layout folder to another:
//!
//! ```
//! use std::sync::Arc;
//!
//! use oci_copy::copy::{Done, Engine, Options, Request};
//! use oci_copy::http::{Credentials, Http, Network};
//! use oci_copy::manifest::{Descriptor, Manifest, media_type};
//! use oci_copy::reference::{Location, TagOrDigest};
//! use oci_copy::store::{Plain, Stores, UploadStart};
//!
//! # fn main() -> anyhow::Result<()> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let folder = tempfile::tempdir()?;
//! let source: Location = format!("oci:{}/a:app", folder.path().display()).parse()?;
//! let target: Location = format!("oci:{}/b:app", folder.path().display()).parse()?;
//!
//! let network = Network::default();
//! let http = Arc::new(Http::new(&network, Credentials::default())?);
//! let stores = Arc::new(Stores::new(http, Plain, &network));
//!
//! // An image with a config and no layers.
//! let config = Descriptor::of(media_type::OCI_CONFIG, b"{}");
//! let manifest = serde_json::json!({
//!     "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [],
//! });
//! let manifest = Manifest::parse(None, manifest.to_string().into())?;
//! let layout = stores.target(&source)?;
//! if let UploadStart::Session(upload) = layout.begin(&config, None).await? {
//!     let content = futures_util::stream::once(async { Ok("{}".into()) });
//!     layout.finish(upload, &config, Box::pin(content)).await?;
//! }
//! layout.put_manifest(&TagOrDigest::Tag("app".to_owned()), &manifest).await?;
//!
//! let engine = Engine::new(Arc::clone(&stores), &Options::default(), Arc::new(()));
//! let copied = engine.run(&[Request::new(source, target.clone())], std::future::pending()).await;
//! assert!(matches!(copied[0].done, Done::Copied));
//! let there = stores.source(&target)?.manifest(&TagOrDigest::Tag("app".to_owned())).await?;
//! assert_eq!(there.map(|there| there.digest), Some(manifest.digest));
//! # Ok(())
//! # })
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod copy;
pub mod http;
pub mod manifest;
pub mod once_map;
pub mod reference;
pub mod remedy;
pub mod store;
pub mod verify;
