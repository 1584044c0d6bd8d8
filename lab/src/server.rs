//! What all servers share: a loopback listener, the log, the faults, and bodies that stream.

pub(crate) mod body;
mod socket;

use crate::faults::{Fault, Faults};
use crate::wire::{self, Wire};
use body::{Body, Upstream, empty, full};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Body as _;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket::Socket;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// The bytes of an error's body that drips.
const DRIPPED: usize = 4096;

/// What a handler says about a request for the log: put it into the answer's extensions.
#[derive(Clone)]
pub(crate) struct Action(pub(crate) String);

/// A listener that is not yet served: its address is known before its handler exists.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    pub(crate) wire: Wire,
    pub(crate) faults: Faults,
}

impl Door {
    /// Takes a free loopback port.
    pub(crate) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            wire: Wire::default(),
            faults: Faults::default(),
        })
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answers requests until the returned server is dropped.
    pub(crate) fn serve<H, A>(self, handler: H) -> Server
    where
        H: Fn(Request<Body>) -> A + Send + Sync + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let Self {
            listener,
            address,
            wire,
            faults,
        } = self;
        let exchange = Arc::new(Exchange {
            wire: wire.clone(),
            faults: faults.clone(),
            handler,
        });
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(connection(stream, exchange.clone()));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Server {
            address,
            wire,
            faults,
            task: task.abort_handle(),
        }
    }
}

/// A running server; it stops, with all its connections, when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) wire: Wire,
    pub(crate) faults: Faults,
    task: AbortHandle,
}

impl Server {
    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Exchange<H> {
    wire: Wire,
    faults: Faults,
    handler: H,
}

async fn connection<H, A>(stream: TcpStream, exchange: Arc<Exchange<H>>)
where
    H: Fn(Request<Body>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let _counted = exchange.wire.connect();
    let reset = Arc::new(AtomicBool::new(false));
    // Small answers must not wait for the acknowledgement of the ones before.
    stream.set_nodelay(true).ok();
    let socket = Socket::new(stream, reset.clone());
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (exchange, reset) = (exchange.clone(), reset.clone());
        async move { exchange.respond(request, &reset).await }
    });
    // An error here is a connection that a client or a fault has cut: there is no one to report it to.
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(socket), service)
        .await
        .ok();
}

impl<H, A> Exchange<H>
where
    H: Fn(Request<Body>) -> A,
    A: Future<Output = Response<Body>>,
{
    /// Logs a request, lets the faults have their way with it, and has it answered.
    /// An error cuts the connection.
    async fn respond(
        &self,
        request: Request<hyper::body::Incoming>,
        reset: &AtomicBool,
    ) -> io::Result<Response<Body>> {
        let (head, incoming) = request.into_parts();
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned();
        let entry = Arc::new(self.wire.open(wire::Request {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
            authorization: header(&head.headers, "authorization"),
            headers: head.headers.clone(),
            action: String::new(),
            started: Instant::now(),
            ended: None,
        }));
        let aimed_at = target.clone() + &header(&head.headers, "x-amz-target").unwrap_or_default();
        let (latency, fault) = self.faults.decide(head.method.as_str(), &aimed_at, &entry);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let cut = || {
            reset.store(true, Ordering::Relaxed);
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        };
        let drop_after = match &fault {
            Some(Fault::DropUpload { after }) => Some(*after),
            _ => None,
        };
        let upstream = Upstream::new(incoming, entry.clone(), drop_after);
        let response = match &fault {
            Some(Fault::Reset) => return cut(),
            // The task ends when the client closes the connection.
            Some(Fault::Mute) => return std::future::pending().await,
            Some(Fault::Drip { status, .. }) => prepared(*status, &[], &"x".repeat(DRIPPED)),
            Some(Fault::Answer {
                status,
                headers,
                body,
            }) => prepared(*status, headers, body),
            Some(Fault::Redirect(to)) => prepared(
                307,
                &[("Location".to_owned(), to.replace("{path}", &target))],
                "",
            ),
            _ => {
                if let Some(Fault::Stall(pause)) = fault {
                    tokio::time::sleep(pause).await;
                }
                (self.handler)(Request::from_parts(head, upstream.body())).await
            }
        };
        let response = match &fault {
            Some(Fault::Gzip) => gzipped(response).await?,
            _ => response,
        };
        if let Some(Action(action)) = response.extensions().get() {
            entry.update(|logged| action.clone_into(&mut logged.action));
        }
        if matches!(fault, Some(Fault::LoseAnswer | Fault::DropUpload { .. })) {
            return cut();
        }
        upstream.drain().await;
        Ok(body::outgoing(response, entry, fault))
    }
}

/// The answer, compressed.
async fn gzipped(response: Response<Body>) -> io::Result<Response<Body>> {
    let (mut head, body) = response.into_parts();
    let body = body::collect(body).await.map_err(io::Error::other)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&body)?;
    let body = encoder.finish()?;
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let gzip = HeaderValue::from_static("gzip");
    head.headers.insert(CONTENT_ENCODING, gzip);
    Ok(Response::from_parts(head, full(body)))
}

/// The answer of a fault.
fn prepared(status: u16, headers: &[(String, String)], body: &str) -> Response<Body> {
    let mut response = Response::new(full(body.to_owned()));
    *response.status_mut() =
        StatusCode::from_u16(status).expect("a fault's status is a status code");
    for (name, value) in headers {
        let name =
            HeaderName::from_bytes(name.as_bytes()).expect("a fault's header has a valid name");
        let value = HeaderValue::from_str(value).expect("a fault's header has a valid value");
        response.headers_mut().append(name, value);
    }
    response
}

/// A header as text.
pub(crate) fn header(headers: &hyper::HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

/// An answer without a body.
pub(crate) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// An answer with a body and its media type.
pub(crate) fn with_body(
    status: StatusCode,
    media_type: &str,
    body: impl Into<bytes::Bytes>,
) -> Response<Body> {
    let body = full(body);
    let length = body.size_hint().exact().unwrap_or_default();
    let response = Response::new(body);
    let response = set(response, "content-type", media_type);
    let mut response = set(response, CONTENT_LENGTH.as_str(), &length.to_string());
    *response.status_mut() = status;
    response
}

/// The answer with one more header.
pub(crate) fn set(mut response: Response<Body>, name: &str, value: &str) -> Response<Body> {
    let name = HeaderName::from_bytes(name.as_bytes()).expect("a known header name");
    let value = HeaderValue::from_str(value).expect("a printable header value");
    response.headers_mut().insert(name, value);
    response
}

/// The answer with a `Location`.
pub(crate) fn located(response: Response<Body>, location: &str) -> Response<Body> {
    set(response, LOCATION.as_str(), location)
}

/// The answer with a name for the log.
pub(crate) fn named(mut response: Response<Body>, action: impl Into<String>) -> Response<Body> {
    response.extensions_mut().insert(Action(action.into()));
    response
}
