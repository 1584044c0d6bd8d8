//! Copies Helm charts and the images they use into a private registry, and publishes the values that
//! make the charts use the copies.
//!
//! Data flows one way, and each arrow has one type:
//!
//! ```text
//! environment + flags -> Settings -> Inventory -> Charts --+
//!                                                          +-> Plan -> Outcomes -> Published
//!                    registries, ECR ------> Observed -----+
//! ```
//!
//! The rooms, in the order in which data passes through them:
//!
//! | room | makes | never |
//! |---|---|---|
//! | [`settings`] | environment and flags into [`settings::Settings`] | touches the network |
//! | [`inventory`] | data files into an [`inventory::Inventory`] | touches the network |
//! | [`charts`] | an inventory into fetched [`charts::Charts`] | needs a helm program |
//! | [`discovery`] | a chart into images as data files list them | needs a hand-written path |
//! | [`plan`] | inventory and charts into a [`plan::Plan`] | does I/O, reads the clock, logs |
//! | [`closure`] | a plan and its charts into a [`closure::Proof`] that nothing else is pulled | does I/O, reads the clock, logs |
//! | [`lock`] | a plan and what its sources have into a [`document::Lock`], and what changed since | does I/O |
//! | [`trust`] | what a source has to prove before it is copied, and whether it does | copies |
//! | [`oci_copy::copy`] | a plan into outcomes | holds a layer in memory; tags before content |
//! | [`fan_out`] | a plan into outcomes, with more builds of CodeBuild | waits for a build that has not begun |
//! | [`bundle`] | a bundle into the only source of a deployment | reads anything else |
//! | [`session`] | flags and environment into what a command works with: settings, sources, access | copies or publishes |
//! | [`deploy`] | all of the above into a deployment, or into a preview of one, each as one function; also locks, and copies of pairs | knows the command line |
//! | [`save`] | what a deployment would copy into a bundle | needs a target |
//! | [`destroy`] | the end of a module or project: what is ours, and its deletion | guesses by name alone |
//! | [`comparison`] | two locks, results or EKS versions into what differs | writes |
//! | [`prune`] | what deployments still need into a plan of what to delete, and its deletion | deletes what may be in use |
//! | [`document_location`] | what a user names into a document of a deployment and what is beside it | writes |
//! | [`verification`] | a document into what is wrong with it at the target, with [`oci_copy::verify`] | writes |
//! | [`permissions`] | settings into what IAM must grant | grants what modulestack.yaml does not |
//! | [`diagnosis`] | settings into findings of everything that a deployment needs | writes |
//! | [`doctor`] | what was measured into findings | does I/O |
//! | [`document`] | the documents' schemas: result, report, pairs, lock | does I/O |
//! | [`export`] | a result document into values and manifests for Helm, Argo CD, Flux, Terraform and Helmfile | does I/O |
//! | [`report_page`] | a report into a page to look at | does I/O |
//! | [`inspect`], [`listing`] | a reference or a prefix into what is there | reads a layer, writes |
//! | [`attestation`] | outcomes into signed statements | does I/O |
//! | [`publish`] | outcomes into files, a bucket's object, the module's metadata | publishes what is not at the target |
//! | [`rollback`] | an earlier result into what is published now | copies; moves a tag |
//!
//! Below them: [`oci_copy`] (the engine: names, manifests, stores, HTTP), [`helm_chart`] (what charts hold),
//! [`reference`](mod@reference) (names at the target), [`ownership`] (which project a repository belongs to),
//! [`document`] (the documents, typed), [`source_secret`] and [`aws`] (access), [`files`] (files of bounded size),
//! [`yaml`] (values as text), [`printable`] (text from others), [`timestamp`] (times as text), [`progress`],
//! [`stderr`], [`hint`] and [`problem`] (what a person sees).
//!
//! Above them: [`cli`], the commands. Each has its options and a `run` that calls the rooms and prints what they
//! return. A program without the command line calls the same functions: [`deploy::plan`] and [`deploy::deploy`] with
//! [`settings::Flags`] and an [`settings::Environment`], [`save::save`] to save a bundle,
//! [`verification::DeploymentRecord`] to compare a result with the target, [`rollback::Rollback`] to publish an earlier one
//! again, and [`prune::Pruner`] to delete what no result needs.
//!
//! Invariants: only `settings` reads the environment; types of the AWS SDK stop in `aws`; only `oci_copy::http`
//! builds HTTP clients; each stage reports all its problems at once.

#![forbid(unsafe_code)]

pub mod attestation;
pub mod aws;
pub mod bundle;
pub mod charts;
pub mod cli;
pub mod closure;
pub mod comparison;
pub mod deploy;
pub mod destroy;
pub mod diagnosis;
pub mod discovery;
pub mod doctor;
pub mod document;
pub mod document_location;
pub mod export;
pub mod fan_out;
pub mod files;
pub mod hint;
pub mod inspect;
pub mod inventory;
pub mod listing;
pub mod lock;
pub mod ownership;
pub mod permissions;
pub mod plan;
pub mod printable;
pub mod problem;
pub mod progress;
pub mod prune;
pub mod publish;
pub mod reference;
pub mod report_page;
pub mod rollback;
pub mod save;
pub mod session;
pub mod settings;
pub mod source_secret;
pub mod stderr;
pub mod timestamp;
pub mod trust;
pub mod verification;
pub mod yaml;
