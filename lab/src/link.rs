//! A network link of a certain speed, as a forward proxy.
//!
//! Give a process the [`Link::url`] as `HTTP_PROXY`, and all that it asks of plain `http://` addresses
//! goes over this link: what it sends shares the one direction, what it is answered the other.

mod bucket;
mod forward;

use bucket::TokenBucket;
use forward::Forwarder;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A running link. It stops, with all its connections, when dropped.
///
/// Bodies are streamed, in pieces that wait for their turn, whatever connection they belong to; heads
/// of requests and answers take no time. A connection to the link has one connection to a server
/// behind it, and is cut when that is, so faults are seen through it. A server that cannot be
/// connected to is a 502.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    directions: Directions,
    task: AbortHandle,
}

/// Both directions of a link. Clones share them.
#[derive(Debug, Clone)]
struct Directions {
    up: Arc<TokenBucket>,
    down: Arc<TokenBucket>,
}

impl Link {
    /// A link that carries so many bytes per second in each direction, both at the same time.
    ///
    /// # Errors
    /// When there is no free port.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(bytes_per_second: u64) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let directions = Directions {
            up: Arc::new(TokenBucket::new(bytes_per_second)),
            down: Arc::new(TokenBucket::new(bytes_per_second)),
        };
        let task = tokio::spawn(accept(listener, directions.clone()));
        Ok(Self {
            address,
            directions,
            task: task.abort_handle(),
        })
    }

    /// `http://127.0.0.1:PORT`, for `HTTP_PROXY`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes of request bodies that went over the link.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        self.directions.up.carried()
    }

    /// Bytes of answers that went over the link.
    #[must_use]
    pub fn bytes_down(&self) -> u64 {
        self.directions.down.carried()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, directions: Directions) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, directions.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, directions: Directions) {
    stream.set_nodelay(true).ok();
    let forwarder = Arc::new(Forwarder::new(directions));
    let service = service_fn(move |request| {
        let forwarder = forwarder.clone();
        async move { forwarder.respond(request).await }
    });
    // An error here is a connection that one of the two ends has cut: there is no one to report it to.
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}
