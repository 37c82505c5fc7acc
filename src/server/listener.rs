//! Connections: not too many, encrypted where that is wanted, none that stays silent for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Kind;
use crate::error::{Error, Result};

use super::tls::{Protocol, Tls};

/// How long a client may take to say its first word, and for the TLS handshake.
pub const GREETING: Duration = Duration::from_secs(15);

/// A port that is listened on, before anyone is served.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
    protocol: Protocol,
    limits: Arc<Connections>,
}

/// The connections of a process, of all protocols together.
#[derive(Debug)]
pub struct Connections {
    permits: Arc<Semaphore>,
    limit: u32,
    /// How long nothing may go either way.
    idle: Duration,
    open: AtomicI64,
}

/// A place among the connections; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
    connections: Arc<Connections>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    /// So many at most, each idle for so long at most.
    pub fn new(limit: u32, idle: Duration) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS)));
        Arc::new(Self { permits, limit, idle, open: AtomicI64::new(0) })
    }

    /// How long nothing may go over one of them.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// How many are open.
    pub fn open(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for one more, if there is any.
    pub fn enter(self: &Arc<Self>) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Permit { _permit: permit, connections: Arc::clone(self) })
    }

    /// Waits until all are closed.
    pub async fn closed(&self) {
        // Never closed, so this cannot fail.
        let _ = self.permits.acquire_many(self.limit).await;
    }
}

impl Listener {
    /// Listens on an address.
    pub async fn bind(address: SocketAddr, protocol: Protocol, limits: Arc<Connections>) -> Result<Self> {
        let failed = |cause: io::Error| {
            let message = format!("cannot listen on {address}: {cause}");
            Error::caused(Kind::Storage, message, cause)
        };
        let inner = TcpListener::bind(address).await.map_err(failed)?;
        let address = inner.local_addr().map_err(failed)?;
        Ok(Self { inner, address, protocol, limits })
    }

    /// The address, with the port that was found free where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, as it is; without a permit there are too many.
    pub async fn accept(&self) -> (TcpStream, SocketAddr, Option<Permit>) {
        loop {
            match self.inner.accept().await {
                Ok((stream, address)) => {
                    // Answers are small and many.
                    let _ = stream.set_nodelay(true);
                    return (stream, address, self.limits.enter());
                }
                Err(error) => {
                    // Such as: no file descriptors are left. They come back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Connections that are ready to be spoken over, until `stop`.
    pub fn connections(self, tls: Option<Arc<Tls>>, stop: CancellationToken) -> mpsc::Receiver<Connection> {
        let (ready, connections) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let (stream, address, permit) = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = self.accept() => accepted,
                };
                let Some(permit) = permit else {
                    tracing::warn!(%address, "too many connections");
                    continue;
                };
                let acceptor = tls.as_ref().map(|tls| tls.acceptor(self.protocol));
                let (ready, idle) = (ready.clone(), self.limits.idle);
                let Some(acceptor) = acceptor else {
                    if ready
                        .send(Connection::new(Stream::Plain(stream), address, permit, idle))
                        .await
                        .is_err()
                    {
                        return;
                    }
                    continue;
                };
                // A handshake takes as long as the client likes: the next connection shall not wait for it.
                tokio::spawn(async move {
                    match tokio::time::timeout(GREETING, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            let stream = Stream::Tls(Box::new(stream));
                            let _ = ready.send(Connection::new(stream, address, permit, idle)).await;
                        }
                        Ok(Err(error)) => tracing::info!(%address, %error, "a TLS handshake failed"),
                        Err(_) => tracing::info!(%address, "a TLS handshake took too long"),
                    }
                });
            }
        });
        connections
    }
}

/// A connection, closed when nothing goes over it for long.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    address: SocketAddr,
    _permit: Permit,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// As it is.
    pub fn plain(stream: TcpStream, address: SocketAddr, permit: Permit, idle: Duration) -> Self {
        Self::new(Stream::Plain(stream), address, permit, idle)
    }

    /// After a TLS handshake.
    pub fn encrypted(
        stream: TlsStream<TcpStream>,
        address: SocketAddr,
        permit: Permit,
        idle: Duration,
    ) -> Self {
        Self::new(Stream::Tls(Box::new(stream)), address, permit, idle)
    }

    /// Begins to count the silence anew: both sides wait for something else.
    pub fn keep(&mut self) {
        self.heard();
    }

    fn new(stream: Stream, address: SocketAddr, permit: Permit, idle: Duration) -> Self {
        let silence = Box::pin(tokio::time::sleep(GREETING.min(idle)));
        Self { stream, address, _permit: permit, idle, silence }
    }

    /// The client's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn heard(&mut self) {
        let later = Instant::now() + self.idle;
        self.silence.as_mut().reset(later);
    }

    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        self.silence.as_mut().poll(context).is_ready()
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the connection was idle for too long")
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if polled.is_pending() && this.is_silent(context) {
            return Poll::Ready(Err(timed_out()));
        }
        ready!(polled)?;
        if buffer.filled().len() > before {
            this.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        if polled.is_pending() && this.is_silent(context) {
            return Poll::Ready(Err(timed_out()));
        }
        let written = ready!(polled)?;
        this.heard();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
