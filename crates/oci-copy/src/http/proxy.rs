//! Which requests go through a proxy: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` as Go's
//! clients read them (<https://pkg.go.dev/golang.org/x/net/http/httpproxy>).

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use url::{Host, Url};

/// The proxies for requests, and what goes without one. Loopback always does.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    without: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Everything,
    Network(IpAddr, u8),
    /// The host and all below it.
    Domain(String, Option<u16>),
}

impl fmt::Debug for Proxies {
    /// A proxy's URL can hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}

impl Proxies {
    /// Reads the variables' values.
    ///
    /// # Errors
    /// Which proxy is not a URL, without its text: it can hold a password.
    pub fn new(
        http: Option<&str>,
        https: Option<&str>,
        without: Option<&str>,
    ) -> Result<Self, String> {
        let rules = without.unwrap_or_default().split([',', ' ']);
        Ok(Self {
            http: proxy(http)?,
            https: proxy(https)?,
            without: rules.filter_map(rule).collect(),
        })
    }

    /// The proxy for a URL.
    #[must_use]
    pub fn of(&self, url: &Url) -> Option<Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        };
        let proxy = proxy?;
        let port = url.port_or_known_default();
        let direct = match url.host()? {
            Host::Ipv4(ip) => self.is_direct_address(ip.into(), port),
            Host::Ipv6(ip) => self.is_direct_address(ip.into(), port),
            Host::Domain(name) => self.is_direct_name(name.trim_end_matches('.'), port),
        };
        (!direct).then(|| proxy.clone())
    }

    fn is_direct_address(&self, ip: IpAddr, port: Option<u16>) -> bool {
        let ip = ip.to_canonical();
        let text = ip.to_string();
        ip.is_loopback()
            || self.without.iter().any(|rule| match rule {
                Rule::Everything => true,
                Rule::Network(network, bits) => is_within(ip, *network, *bits),
                Rule::Domain(name, wanted) => {
                    *name == text && (wanted.is_none() || *wanted == port)
                }
            })
    }

    fn is_direct_name(&self, name: &str, port: Option<u16>) -> bool {
        let below = |domain: &str| {
            let before = name.strip_suffix(domain);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        below("localhost")
            || self.without.iter().any(|rule| match rule {
                Rule::Everything => true,
                Rule::Network(..) => false,
                Rule::Domain(domain, wanted) => {
                    below(domain) && (wanted.is_none() || *wanted == port)
                }
            })
    }
}

fn proxy(text: Option<&str>) -> Result<Option<Url>, String> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    match Url::parse(&whole) {
        Ok(url) if url.has_host() => Ok(Some(url)),
        _ => Err("it is not the URL of a proxy, such as http://proxy.example:3128".to_owned()),
    }
}

fn rule(text: &str) -> Option<Rule> {
    let text = text.trim().to_lowercase();
    if text.is_empty() {
        return None;
    }
    if text == "*" {
        return Some(Rule::Everything);
    }
    if let Some((network, bits)) = text.split_once('/') {
        let network = bare(network).parse::<IpAddr>().ok()?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse::<u8>().ok().filter(|bits| *bits <= most)?;
        return Some(Rule::Network(network, bits));
    }
    if let Ok(ip) = bare(&text).parse::<IpAddr>() {
        return Some(Rule::Domain(ip.to_canonical().to_string(), None));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse::<u16>().ok()?)),
        None => (text.as_str(), None),
    };
    if let Ok(ip) = bare(name).parse::<IpAddr>() {
        return Some(Rule::Domain(ip.to_canonical().to_string(), port));
    }
    let name = name.strip_prefix('*').unwrap_or(name).trim_matches('.');
    (!name.is_empty()).then(|| Rule::Domain(name.to_owned(), port))
}

/// An address without the brackets of a URL.
fn bare(text: &str) -> &str {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text)
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            ip.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

/// A proxy without its login.
pub(super) fn shown(proxy: &Url) -> String {
    let port = proxy.port_or_known_default();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}",
        proxy.scheme(),
        proxy.host_str().unwrap_or_default()
    )
}

/// What a proxy answers when it is asked for a tunnel: the status line. The HTTP client keeps it to itself.
pub(super) async fn ask(proxy: &Url, url: &Url) -> Option<String> {
    const LONGEST: Duration = Duration::from_secs(5);
    const MOST: u64 = 1024;
    if proxy.scheme() != "http" || url.scheme() != "https" {
        return None;
    }
    let (host, port) = (proxy.host_str()?, proxy.port_or_known_default()?);
    let wanted = format!("{}:{}", url.host_str()?, url.port_or_known_default()?);
    let login = match (proxy.username(), proxy.password()) {
        ("", None) => String::new(),
        (user, password) => {
            let login = format!("{user}:{}", password.unwrap_or_default());
            let login = base64::engine::general_purpose::STANDARD.encode(login);
            format!("Proxy-Authorization: Basic {login}\r\n")
        }
    };
    let asked = async {
        let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        let request = format!("CONNECT {wanted} HTTP/1.1\r\nHost: {wanted}\r\n{login}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream.take(MOST))
            .read_line(&mut line)
            .await?;
        std::io::Result::Ok(line)
    };
    let line = tokio::time::timeout(LONGEST, asked).await.ok()?.ok()?;
    let status = line.trim().split_once(' ')?.1;
    // A proxy must not control the terminal.
    let status: String = status
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    (!status.starts_with("200") && !status.is_empty()).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_direct(without: &str, url: &str) -> bool {
        let proxies = Proxies::new(Some("proxy.corp:3128"), Some("http://p:1"), Some(without));
        proxies.unwrap().of(&Url::parse(url).unwrap()).is_none()
    }

    #[test]
    fn loopback_never_goes_through_a_proxy() {
        for url in [
            "http://127.0.0.1:5000/v2/",
            "http://127.9.8.7/",
            "https://localhost:5000/",
            "http://localhost./",
            "http://registry.localhost/",
            "http://[::1]:5000/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(is_direct("", url), "{url}");
        }
        for url in [
            "http://127.evil.com/",
            "https://notlocalhost/",
            "http://10.0.0.1/",
        ] {
            assert!(!is_direct("", url), "{url}");
        }
    }

    #[test]
    fn no_proxy_is_read_in_all_its_forms() {
        for (without, url) in [
            ("quay.io", "https://quay.io/v2/"),
            ("quay.io", "https://cdn.quay.io/"),
            (".quay.io", "https://cdn.quay.io/"),
            ("*.quay.io", "https://cdn.quay.io/"),
            ("QUAY.IO", "https://quay.io/"),
            ("a.io, quay.io ,b.io", "https://quay.io/"),
            ("a.io quay.io", "https://quay.io/"),
            ("quay.io:443", "https://quay.io/"),
            ("quay.io:8443", "https://quay.io:8443/"),
            ("10.0.0.0/8", "http://10.1.2.3/"),
            ("0.0.0.0/0", "http://10.1.2.3/"),
            ("10.1.2.3", "http://10.1.2.3:5000/"),
            ("10.1.2.3:5000", "http://10.1.2.3:5000/"),
            ("fd00::/8", "http://[fd00::1]/"),
            ("[fd00::1]", "http://[fd00::1]:5000/"),
            ("fd00::1", "http://[fd00::1]:5000/"),
            ("*", "https://anything.io/"),
        ] {
            assert!(is_direct(without, url), "{without} {url}");
        }
        for (without, url) in [
            ("quay.io", "https://notquay.io/"),
            ("quay.io:8443", "https://quay.io/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/33", "http://10.0.0.1/"),
            ("fd00::/8", "http://[fe00::1]/"),
            (",, .", "https://quay.io/"),
        ] {
            assert!(!is_direct(without, url), "{without} {url}");
        }
    }

    #[test]
    fn a_proxy_may_lack_its_scheme_and_a_wrong_one_is_refused_without_its_text() {
        let proxies = Proxies::new(Some("proxy.corp:3128"), None, None).unwrap();
        let url = Url::parse("http://quay.io/").unwrap();
        assert_eq!(
            proxies.of(&url).unwrap().as_str(),
            "http://proxy.corp:3128/"
        );
        assert_eq!(proxies.of(&Url::parse("https://quay.io/").unwrap()), None);
        let error = Proxies::new(None, Some("http://me:hunter2@:x"), None).unwrap_err();
        assert!(!error.contains("hunter2"));
        let proxies = Proxies::new(None, Some("http://me:hunter2@p:1"), None);
        assert!(!format!("{proxies:?}").contains("hunter2"));
    }
}
