//! What differs between ECR and other registries.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;

use crate::aws::Aws;
use crate::reference::EcrHost;
use oci_copy::http::{self, Secret};
use oci_copy::reference::{Digest, TagOrDigest};
use oci_copy::remedy::Remedy;
use oci_copy::store::{
    self, Action, Answer, Capabilities, DigestCheck, Limits, Mounting, Plain, Provider, Providers,
};

use super::{Ecr, Token};

/// Chooses ECR for its hosts.
pub struct EcrProviders(pub Arc<Aws>);

impl Providers for EcrProviders {
    fn provider(&self, host: &str, has_login: bool) -> Arc<dyn Provider> {
        match EcrHost::parse(host) {
            Some(_) if has_login => Arc::new(UserLogin),
            Some(host) => self.0.ecr(&host),
            None => Arc::new(Plain),
        }
    }
}

/// An ECR that the user has configured a login for: it is used like any other registry.
struct UserLogin;

impl Provider for UserLogin {
    fn explain(&self, error: &http::Error) -> Option<&'static str> {
        explain(error)
    }
}

impl Provider for Ecr {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            own_authorization: true,
            known_blobs: true,
            batch_lookups: true,
            // EmptyUploadException, which clients see as status 500.
            empty_blobs: false,
            // What its API calls a digest is a SHA-256.
            other_digests: false,
            digest_check: DigestCheck::Known,
        }
    }

    fn endpoint(&self) -> Answer<'_, Option<String>> {
        async move { Ok(Some(self.token().await?.endpoint)) }.boxed()
    }

    fn authorization(&self) -> Answer<'_, Option<Secret>> {
        async move { Ok(Some(authorization(&self.token().await?))) }.boxed()
    }

    fn renew<'a>(&'a self, refused: &'a [u8]) -> Answer<'a, Option<Secret>> {
        async move { Ok(self.renew(refused).await?.as_ref().map(authorization)) }.boxed()
    }

    fn prepare<'a>(&'a self, repository: &'a str) -> Answer<'a, ()> {
        async move { Ok(self.ensure(repository).await?) }.boxed()
    }

    /// New ECR repositories become visible with a delay. What a push is answered then is 404, whether or not its text
    /// arrives.
    fn settle<'a>(&'a self, repository: &'a str, refused: &'a http::Error) -> Answer<'a, bool> {
        async move {
            let is_new = refused.status_code() == Some(404) && self.has_created(repository);
            if is_new {
                self.seen(repository).await?;
            }
            Ok(is_new)
        }
        .boxed()
    }

    fn mounting(&self) -> Answer<'_, Mounting> {
        async move {
            Ok(if self.mounts_blobs().await {
                Mounting::AfterCommit
            } else {
                Mounting::Never
            })
        }
        .boxed()
    }

    fn is_immutable<'a>(&'a self, repository: &'a str, tag: &'a str) -> Answer<'a, bool> {
        async move { Ok(self.is_fixed(repository, tag).await?) }.boxed()
    }

    fn find_manifests<'a>(
        &'a self,
        repository: &'a str,
        names: &'a [TagOrDigest],
    ) -> Answer<'a, HashMap<TagOrDigest, Digest>> {
        async move { Ok(self.find_images(repository, names).await?) }.boxed()
    }

    fn known_manifests<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a [Digest],
    ) -> Option<Answer<'a, HashSet<Digest>>> {
        let known = async move {
            if !self.existed(repository).await? {
                return Ok(HashSet::new());
            }
            let names: Vec<TagOrDigest> = wanted.iter().cloned().map(TagOrDigest::Digest).collect();
            let found = self.find_images(repository, &names).await?;
            Ok(found.into_values().collect())
        };
        Some(known.boxed())
    }

    fn known_blobs<'a>(
        &'a self,
        repository: &'a str,
        wanted: &'a [Digest],
    ) -> Option<Answer<'a, HashSet<Digest>>> {
        Some(async move { Ok(self.find_layers(repository, wanted).await?) }.boxed())
    }

    fn limits(&self) -> Option<Limits> {
        let (quotas, share) = self.aws.quotas();
        Some(Limits {
            rates: Action::ALL.map(|action| quotas.get(action)),
            share: share.clone(),
        })
    }

    fn explain(&self, error: &http::Error) -> Option<&'static str> {
        explain(error)
    }
}

fn authorization(token: &Token) -> Secret {
    Secret::new(format!("Basic {}", token.basic.expose()))
}

fn explain(error: &http::Error) -> Option<&'static str> {
    error.is_about_rate().then_some(
        "a quota of ECR in this account and region is used up, maybe by others who push at the same time: \
         run again later, or have it raised (Service Quotas) and say so (Quotas: PutImage=50); a smaller \
         number there makes the run slower and keeps room for others",
    )
}

impl From<super::Error> for store::Error {
    fn from(error: super::Error) -> Self {
        Self::Provider {
            remedy: error.remedy().map(Remedy::Text),
            message: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_copy::http::{Credentials, Http, Network};
    use oci_copy::store::Stores;

    /// The remedy for a response of a host whose requests go to a server of this test.
    async fn remedy(host: &str, status: u16, body: &'static str) -> Option<&'static str> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let serve = tokio::spawn(async move {
            loop {
                let (mut stream, _) = server.accept().await.unwrap();
                let mut request = [0; 4096];
                let _read = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let network = Network {
            tries: 1,
            endpoints: [(host.to_owned(), url.parse().unwrap())].into(),
            ..Network::default()
        };
        let http = Arc::new(Http::new(&network, Credentials::default()).unwrap());
        let stores = Stores::new(http, Logins, &network);
        let location = format!("{host}/a:1").parse().unwrap();
        let source = stores.source(&location).unwrap();
        let error = source.manifest(&TagOrDigest::Tag("1".to_owned())).await;
        serve.abort();
        error
            .err()
            .and_then(|error| error.remedy())
            .map(Remedy::text)
    }

    /// A login for every host.
    struct Logins;

    impl Providers for Logins {
        fn provider(&self, host: &str, _: bool) -> Arc<dyn Provider> {
            match EcrHost::parse(host) {
                Some(_) => Arc::new(UserLogin),
                None => Arc::new(Plain),
            }
        }
    }

    #[tokio::test]
    async fn a_throttling_ecr_is_explained_by_its_quotas_and_not_by_a_login() {
        let ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com";
        let throttled = r#"{"errors":[{"code":"ThrottlingException","message":"Rate exceeded"}]}"#;
        for (status, body) in [(429, "{}"), (400, throttled)] {
            let remedy = remedy(ecr, status, body).await.unwrap();
            assert!(remedy.contains("Service Quotas"), "{remedy}");
        }
        let remedy_elsewhere = remedy("quay.io", 429, "{}").await.unwrap();
        assert!(remedy_elsewhere.contains("log in"), "{remedy_elsewhere}");
        assert_eq!(remedy(ecr, 500, "{}").await, None);
    }
}
