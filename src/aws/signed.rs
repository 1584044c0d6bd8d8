//! Calls to services for which no SDK crate is linked (KMS, IAM, EC2, Service Quotas): a few calls do not pay for
//! minutes of compiling generated code. Requests are signed by the crate that signs for the SDK, with the
//! credentials and endpoints that the SDK has found.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use oci_copy::http::{Http, retry_after};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};
use serde_json::Value;
use url::Url;

use super::xml::{self, Element};
use super::{Aws, Error, dns_suffix};

/// The largest response that is read, in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;

/// How long before their end credentials are renewed.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);

/// A service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// In host names and signatures.
    name: &'static str,
    /// In `AWS_ENDPOINT_URL_<ID>` and in the `services` section of a profile.
    id: &'static str,
    protocol: Protocol,
    /// Whether a partition has one endpoint.
    is_global: bool,
}

/// How a service is talked to.
#[derive(Debug, Clone, Copy)]
enum Protocol {
    /// JSON 1.1, with the prefix of `X-Amz-Target`.
    Json(&'static str),
    /// A form in, XML out, with the version of the API.
    Query(&'static str),
}

pub(super) const KMS: Service = Service {
    name: "kms",
    id: "kms",
    protocol: Protocol::Json("TrentService"),
    is_global: false,
};
pub(super) const SERVICE_QUOTAS: Service = Service {
    name: "servicequotas",
    id: "service_quotas",
    protocol: Protocol::Json("ServiceQuotasV20190624"),
    is_global: false,
};
pub(super) const IAM: Service = Service {
    name: "iam",
    id: "iam",
    protocol: Protocol::Query("2010-05-08"),
    is_global: true,
};
pub(super) const EC2: Service = Service {
    name: "ec2",
    id: "ec2",
    protocol: Protocol::Query("2016-11-15"),
    is_global: false,
};
const STS: Service = Service {
    name: "sts",
    id: "sts",
    protocol: Protocol::Query("2011-06-15"),
    is_global: false,
};

/// Endpoint and region of the global services of a partition, by the beginning of its regions
/// (<https://docs.aws.amazon.com/general/latest/gr/iam-service.html>).
const GLOBAL: [(&str, &str, &str); 5] = [
    ("cn-", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("us-gov-", "iam.us-gov.amazonaws.com", "us-gov-west-1"),
    (
        "us-isob-",
        "iam.us-isob-east-1.sc2s.sgov.gov",
        "us-isob-east-1",
    ),
    ("us-iso-", "iam.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
    ("", "iam.amazonaws.com", "us-east-1"),
];

/// A call.
pub(super) struct Call<'a> {
    pub(super) service: Service,
    /// Such as `kms:Sign`.
    pub(super) action: &'static str,
    /// What it is about, for messages.
    pub(super) resource: &'a str,
    pub(super) region: &'a str,
}

/// Where a service is, and with which region requests are signed.
struct Endpoint {
    url: Url,
    region: String,
}

/// A response of any status.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Aws {
    /// Calls a service that speaks JSON.
    pub(super) async fn call_json(&self, call: &Call<'_>, input: &Value) -> Result<Value, Error> {
        let body = Bytes::from(input.to_string());
        let answer = self.send_signed(call, body).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| Error::broken(call.action, call.resource, error.to_string()))
    }

    /// Calls a service that takes a form.
    pub(super) async fn call_query(
        &self,
        call: &Call<'_>,
        input: &[(String, String)],
    ) -> Result<Element, Error> {
        let answer = self.send_signed(call, form(call, input)).await?;
        xml::parse(&String::from_utf8_lossy(&answer.body))
            .map_err(|error| Error::broken(call.action, call.resource, error))
    }

    /// AWS's time minus ours, as a number of seconds: from STS's response, which may be a refusal.
    ///
    /// # Errors
    /// When STS does not answer, or without a date.
    pub async fn clock_skew(&self, region: &str) -> Result<i64, Error> {
        let call = Call {
            service: STS,
            action: "sts:GetCallerIdentity",
            resource: "",
            region,
        };
        let body = form(&call, &[]);
        let attempt = || async {
            let answer = self.attempt(&call, body.clone()).await?;
            let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
            let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
            let date = date.ok_or_else(|| {
                Error::incomplete(call.action, call.resource, "the response has no date")
            })?;
            Ok(seconds(date) - seconds(SystemTime::now()))
        };
        self.calls.run(call.action, attempt).await
    }

    async fn send_signed(&self, call: &Call<'_>, body: Bytes) -> Result<Answer, Error> {
        let attempt = || async {
            let answer = self.attempt(call, body.clone()).await?;
            if (200..300).contains(&answer.status) {
                return Ok(answer);
            }
            Err(self.refusal(call, &answer).await)
        };
        self.calls.run(call.action, attempt).await
    }

    /// Sends a request once.
    async fn attempt(&self, call: &Call<'_>, body: Bytes) -> Result<Answer, Error> {
        let broken = |why: String| Error::broken(call.action, call.resource, why);
        let failed = |why: String| Error::incomplete(call.action, call.resource, why);
        let config = self.config(call.region).await;
        let endpoint = self.endpoint(call.service, call.region, &config).await?;
        let credentials = self.credentials(&config).await;
        let credentials = credentials.map_err(|why| failed(format!("no credentials: {why}")))?;
        let content_type = match call.service.protocol {
            Protocol::Json(_) => "application/x-amz-json-1.1",
            Protocol::Query(_) => "application/x-www-form-urlencoded; charset=utf-8",
        };
        let mut headers = vec![(CONTENT_TYPE.as_str(), content_type.to_owned())];
        if let Protocol::Json(prefix) = call.service.protocol {
            let (_, operation) = call.action.split_once(':').unwrap_or_default();
            headers.push(("x-amz-target", format!("{prefix}.{operation}")));
        }
        let signature = signature(call.service, &endpoint, credentials, &headers, &body);
        headers.extend(signature.map_err(failed)?);
        let http = self.http()?;
        let mut request = http.client().post(endpoint.url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let place = place(&endpoint);
        let sent = tokio::time::timeout(self.calls.read_timeout(), request.send()).await;
        let sent = sent.map_err(|_| broken(format!("{place}: no answer in time")))?;
        let response = sent.map_err(|error| {
            let why = super::error::chain(&error.without_url());
            broken(format!("{place}: {why}"))
        })?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = http.body(response, LARGEST).await;
        let body = body.map_err(|error| broken(format!("{place}: {error}")))?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// What a service says when it refuses.
    async fn refusal(&self, call: &Call<'_>, answer: &Answer) -> Error {
        let (code, message) = match call.service.protocol {
            Protocol::Json(_) => json_error(&answer.body),
            Protocol::Query(_) => xml_error(&answer.body),
        };
        let config = self.config(call.region).await;
        let place = match self.endpoint(call.service, call.region, &config).await {
            Ok(endpoint) => place(&endpoint),
            Err(_) => call.region.to_owned(),
        };
        let message = message.unwrap_or_else(|| format!("status {}", answer.status));
        let wait = retry_after(&answer.headers);
        let message = format!("{message} ({place})");
        Error::of_service(
            call.action,
            call.resource,
            (code, answer.status),
            message,
            wait,
        )
    }

    /// The client of these calls, without anybody's logins.
    fn http(&self) -> Result<&Http, Error> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = Http::new(&self.network, oci_copy::http::Credentials::default());
        let http = http.map_err(|error| Error::incomplete("https", "", format!("{error:#}")))?;
        Ok(self.http.get_or_init(|| http))
    }

    /// The credentials, renewed before they end.
    async fn credentials(&self, config: &SdkConfig) -> Result<Credentials, String> {
        let mut known = self.credentials.lock().await;
        let is_lasting = |known: &Credentials| {
            let end = known.expiry();
            end.is_none_or(|end| end > SystemTime::now() + RENEWED_BEFORE)
        };
        if let Some(known) = known.as_ref().filter(|known| is_lasting(known)) {
            return Ok(known.clone());
        }
        let provider = config.credentials_provider();
        let provider = provider.ok_or("none are configured")?;
        let found = provider.provide_credentials().await;
        let found = found.map_err(|error| super::error::explained(super::error::chain(&error)))?;
        *known = Some(found.clone());
        Ok(found)
    }

    async fn endpoint(
        &self,
        service: Service,
        region: &str,
        config: &SdkConfig,
    ) -> Result<Endpoint, Error> {
        let global = GLOBAL
            .iter()
            .find(|(prefix, ..)| region.starts_with(prefix));
        let (host, region) = match global.filter(|_| service.is_global) {
            Some((_, host, region)) => ((*host).to_owned(), *region),
            None => (
                format!("{}.{region}.{}", service.name, dns_suffix(region).await?),
                region,
            ),
        };
        let url = given_endpoint(service, config).unwrap_or_else(|| format!("https://{host}/"));
        let url = Url::parse(&url)
            .map_err(|error| Error::region(region, format!("the endpoint {url}: {error}")))?;
        Ok(Endpoint {
            url,
            region: region.to_owned(),
        })
    }
}

/// Host and region, for messages.
fn place(endpoint: &Endpoint) -> String {
    let host = endpoint.url.host_str().unwrap_or_default();
    match endpoint.url.port() {
        Some(port) => format!("{host}:{port}, region {}", endpoint.region),
        None => format!("{host}, region {}", endpoint.region),
    }
}

/// The endpoint that environment or profile set, with the SDK's rules for which wins.
fn given_endpoint(service: Service, config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service.id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let of_service = config.service_config()?.load_config(key);
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// The headers of a signature.
fn signature(
    service: Service,
    endpoint: &Endpoint,
    credentials: Credentials,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Result<Vec<(&'static str, String)>, String> {
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&endpoint.region)
        .name(service.name)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let body = SignableBody::Bytes(body);
    let signable = SignableRequest::new("POST", endpoint.url.as_str(), headers, body);
    let signable = signable.map_err(|error| error.to_string())?;
    let signed = sign(signable, &parameters).map_err(|error| error.to_string())?;
    let (instructions, _) = signed.into_parts();
    let (headers, _) = instructions.into_parts();
    let headers = headers.iter();
    Ok(headers
        .map(|header| (header.name(), header.value().to_owned()))
        .collect())
}

fn form(call: &Call<'_>, input: &[(String, String)]) -> Bytes {
    let (_, operation) = call.action.split_once(':').unwrap_or_default();
    let Protocol::Query(version) = call.service.protocol else {
        return Bytes::new();
    };
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", operation);
    form.append_pair("Version", version);
    form.extend_pairs(input);
    Bytes::from(form.finish())
}

/// Code and message of an error in JSON; the code may have a namespace in front.
fn json_error(body: &[u8]) -> (Option<String>, Option<String>) {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| error[key].as_str().map(str::to_owned);
    let code = text("__type").or_else(|| text("code"));
    let code = code.and_then(|code| code.rsplit('#').next().map(str::to_owned));
    (code, text("message").or_else(|| text("Message")))
}

/// Code and message of an error in XML, wherever a service puts them.
fn xml_error(body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(root) = xml::parse(&String::from_utf8_lossy(body)) else {
        return (None, None);
    };
    let error = root.find("Error");
    let text = |name: &str| Some(error?.text_of(name)?.to_owned());
    (text("Code"), text("Message"))
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
