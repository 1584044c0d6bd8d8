//! The requests of one connection, and their way to a server and back.

use super::Directions;
use super::bucket::{PIECE, TokenBucket};
use crate::server::body::{Body, empty, next_piece, streamed};
use crate::server::with_body;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Headers that are about one connection and not about the message.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) struct Forwarder {
    directions: Directions,
    server: Mutex<Option<Server>>,
}

/// A connection to a server.
struct Server {
    /// `host:port`.
    address: String,
    sender: SendRequest<Body>,
}

impl Forwarder {
    pub(super) fn new(directions: Directions) -> Self {
        Self {
            directions,
            server: Mutex::new(None),
        }
    }

    /// Has a request answered by the server it is for. An error cuts the connection.
    pub(super) async fn respond(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let Some(address) = address(request.uri()) else {
            let message = "this proxy takes http:// addresses only";
            return Ok(refusal(StatusCode::NOT_IMPLEMENTED, message));
        };
        let Some(request) = self.outgoing(request) else {
            return Ok(refusal(StatusCode::BAD_REQUEST, "no such address"));
        };
        let (request, mut server) = match self.send_again(&address, request).await? {
            Sent::Answered(response) => return Ok(self.incoming(response)),
            Sent::Not(request) => match connect(&address).await {
                Ok(server) => (request, server),
                Err(error) => {
                    let message = format!("no connection to {address}: {error}");
                    return Ok(refusal(StatusCode::BAD_GATEWAY, &message));
                }
            },
        };
        let response = server.sender.send_request(request).await;
        let response = response.map_err(io::Error::other)?;
        *self.server.lock().await = Some(server);
        Ok(self.incoming(response))
    }

    /// Sends a request over the connection that there is, if it is one to this server and alive.
    async fn send_again(&self, address: &str, request: Request<Body>) -> io::Result<Sent> {
        let kept = self.server.lock().await.take();
        let Some(mut server) = kept.filter(|server| server.address == address) else {
            return Ok(Sent::Not(request));
        };
        if server.sender.ready().await.is_err() {
            return Ok(Sent::Not(request));
        }
        match server.sender.try_send_request(request).await {
            Ok(response) => {
                *self.server.lock().await = Some(server);
                Ok(Sent::Answered(response))
            }
            // The server closed an idle connection before it saw the request.
            Err(mut error) => match error.take_message() {
                Some(request) => Ok(Sent::Not(request)),
                None => Err(io::Error::other(error.into_error())),
            },
        }
    }

    /// The request as the server gets it.
    fn outgoing(&self, request: Request<Incoming>) -> Option<Request<Body>> {
        let (mut head, body) = request.into_parts();
        let host = HeaderValue::from_str(head.uri.authority()?.as_str()).ok()?;
        head.uri = head.uri.path_and_query()?.as_str().parse().ok()?;
        head.version = Version::HTTP_11;
        strip(&mut head.headers);
        head.headers.insert(HOST, host);
        Some(Request::from_parts(head, shaped(body, &self.directions.up)))
    }

    /// The answer as the client gets it.
    fn incoming(&self, response: Response<Incoming>) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        head.version = Version::HTTP_11;
        strip(&mut head.headers);
        Response::from_parts(head, shaped(body, &self.directions.down))
    }
}

enum Sent {
    Answered(Response<Incoming>),
    Not(Request<Body>),
}

/// `host:port` of an absolute `http://` address.
fn address(uri: &Uri) -> Option<String> {
    if uri.scheme_str() != Some("http") {
        return None;
    }
    let authority = uri.authority()?;
    let port = authority.port_u16().unwrap_or(80);
    Some(format!("{}:{port}", authority.host()))
}

async fn connect(address: &str) -> io::Result<Server> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true).ok();
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(io::Error::other)?;
    // It ends by itself once no requests are sent and no response is read any more.
    tokio::spawn(async move { connection.await.ok() });
    Ok(Server {
        address: address.to_owned(),
        sender,
    })
}

/// Takes off the headers that end here, those that `Connection` names included.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// A body whose pieces go when their direction has room for them.
fn shaped(body: Incoming, direction: &Arc<TokenBucket>) -> Body {
    // A stream does not know that it is empty: a GET would get a body of no chunks.
    if body.is_end_stream() {
        return empty();
    }
    let body = body.map_err(io::Error::other).boxed_unsync();
    let start = (body, Bytes::new(), direction.clone());
    streamed(stream::unfold(
        start,
        async |(mut body, mut rest, direction)| {
            while rest.is_empty() {
                match next_piece(&mut body).await? {
                    Ok(bytes) => rest = bytes,
                    Err(error) => return Some((Err(error), (body, rest, direction))),
                }
            }
            let piece = rest.split_to(rest.len().min(PIECE));
            direction.carry(piece.len()).await;
            Some((Ok(piece), (body, rest, direction)))
        },
    ))
}

fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    with_body(status, "text/plain", format!("{message}\n"))
}
