//! What an account has: repositories, buckets, keys, quotas, secrets; and its clock.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use crate::registry::Repo;

use super::{Aws, Bucket, KeySpec, Object, kms};

impl Aws {
    /// The settings of a repository.
    #[must_use]
    pub fn repository(&self, name: &str) -> Option<Repo> {
        let state = self.account.core.store.state();
        state
            .repositories
            .get(name)
            .map(|repository| repository.settings.clone())
    }

    /// Creates a repository, or changes the settings of one.
    pub fn put_repository(&self, name: &str, change: impl FnOnce(&mut Repo)) {
        change(&mut self.account.core.store.state().repository(name).settings);
    }

    /// Sets when a manifest was pushed, and last pulled.
    pub fn set_image_times(
        &self,
        repository: &str,
        digest: &str,
        pushed: SystemTime,
        pulled: Option<SystemTime>,
    ) {
        let mut state = self.account.core.store.state();
        let manifests = &mut state.repository(repository).manifests;
        if let Some(manifest) = manifests.get_mut(digest) {
            (manifest.pushed, manifest.pulled) = (pushed, pulled);
        }
    }

    /// A bucket without its objects' bytes being copied.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<Bucket> {
        self.account.state().buckets.get(name).cloned()
    }

    /// Creates a bucket.
    pub fn put_bucket(&self, name: &str) {
        self.account
            .state()
            .buckets
            .entry(name.to_owned())
            .or_default();
    }

    /// Sets a setting of a bucket, by its subresource such as `policy`.
    pub fn put_bucket_setting(&self, bucket: &str, subresource: &str, document: &str) {
        let mut state = self.account.state();
        let settings = &mut state.buckets.entry(bucket.to_owned()).or_default().settings;
        settings.insert(subresource.to_owned(), document.to_owned());
    }

    /// An object's bytes.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.account
            .state()
            .buckets
            .get(bucket)?
            .objects
            .get(key)
            .map(|object| object.bytes.clone())
    }

    /// Stores an object, and its bucket if need be.
    pub fn put_object(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        let object = Object {
            bytes: bytes.into(),
            ..Object::default()
        };
        self.account
            .state()
            .buckets
            .entry(bucket.to_owned())
            .or_default()
            .insert(key, object);
    }

    /// Deletes an object.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        if let Some(bucket) = self.account.state().buckets.get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// Creates a key of KMS and returns its ARN.
    #[must_use]
    pub fn put_key(&self, spec: KeySpec) -> String {
        let account = &self.account;
        let mut state = account.state();
        let (region, number) = (&account.region, &account.number);
        let arn = format!("arn:aws:kms:{region}:{number}:key/{:08x}", state.keys.len());
        state.keys.insert(arn.clone(), kms::Key::new(spec));
        arn
    }

    /// Changes the state of a key, such as to `Disabled`.
    pub fn set_key_state(&self, arn: &str, key_state: &str) {
        if let Some(key) = self.account.state().keys.get_mut(arn) {
            key_state.clone_into(&mut key.state);
        }
    }

    /// The public half of a key, as PEM.
    #[must_use]
    pub fn public_key(&self, arn: &str) -> Option<String> {
        self.account.state().keys.get(arn)?.public_pem()
    }

    /// Signs messages with a key, without a call; nothing where there is no such key or it does not sign.
    pub fn signer(&self, arn: &str) -> impl Fn(&[u8]) -> Option<Vec<u8>> + use<> {
        let (account, arn) = (Arc::clone(&self.account), arn.to_owned());
        move |message| account.state().keys.get(&arn)?.sign(message)
    }

    /// Sets a quota of the account, by service and code.
    pub fn put_quota(&self, service: &str, code: &str, value: f64) {
        let quota = format!("{service}/{code}");
        self.account.state().quotas.insert(quota, value);
    }

    /// Creates an endpoint in a VPC: its service, and `Interface` or `Gateway`.
    pub fn put_vpc_endpoint(&self, vpc: &str, service: &str, kind: &str) {
        let endpoint = [vpc, service, kind].map(str::to_owned);
        self.account.state().vpc_endpoints.push(endpoint.into());
    }

    /// Denies an action of IAM, such as `ecr:PutImage`, to the caller: the API refuses it, and IAM's simulation
    /// says so.
    pub fn deny(&self, action: &str) {
        self.account.state().denied.insert(action.to_owned());
    }

    /// Sets the clock of this AWS ahead by so many seconds, or back.
    pub fn set_clock(&self, ahead: i64) {
        self.account.state().clock = ahead;
    }

    /// Stores a secret string under its name or ARN.
    pub fn put_secret(&self, id: &str, value: &str) {
        self.account
            .state()
            .secrets
            .insert(id.to_owned(), value.to_owned());
    }
}
