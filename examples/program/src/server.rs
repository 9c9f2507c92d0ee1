//! What servers over HTTP allow to strangers.

use clap::Args;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Limits of a server over HTTP.
#[derive(Args, Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections that speak HTTP are served at once; further ones wait to be accepted.
    #[arg(long, value_name = "N", default_value_t = MAX_HTTP_CONNECTIONS)]
    pub max_http_connections: usize,
    /// How long the head of a request may take, and the silence before it.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::duration)]
    pub head_timeout: Duration,
    /// How long the body of a request may take.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = crate::duration)]
    pub body_timeout: Duration,
    /// How many bytes the bodies of requests take at once, beyond the first 64 KiB of each; longer ones wait.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_BODIES)]
    pub max_bodies: usize,
    /// How long a client may take nothing of what is written to it.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::duration)]
    pub write_timeout: Duration,
}

const MAX_HTTP_CONNECTIONS: usize = 16_384;
const MAX_BODIES: usize = 64 << 20;

/// How much of a head, and of an answer that nobody takes, is held for a connection.
const BUFFER: usize = 64 << 10;

impl Limits {
    /// Returns a builder of connections that keep to these limits over a [`Patient`] stream.
    #[must_use]
    pub fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.head_timeout).max_buf_size(BUFFER);
        builder
    }

    /// Returns a stream over which writing fails once nothing could be written for [`Limits::write_timeout`].
    pub fn patient<S>(&self, stream: S) -> Patient<S> {
        Patient { stream, limit: self.write_timeout, stuck: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            max_http_connections: MAX_HTTP_CONNECTIONS,
            head_timeout: second * 60,
            body_timeout: second * 15,
            max_bodies: MAX_BODIES,
            write_timeout: second * 60,
        }
    }
}

/// A stream whose peer must take what is written. Made by [`Limits::patient`].
#[derive(Debug)]
pub struct Patient<S> {
    stream: S,
    limit: Duration,
    /// Since nothing could be written.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Returns the stream itself.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn wait<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let limit = self.limit;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        stuck.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wait(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wait(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.wait(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.wait(context, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn impatient() -> Limits {
        Limits { write_timeout: Duration::from_millis(50), ..Limits::default() }
    }

    #[tokio::test]
    async fn writing_fails_once_the_peer_takes_nothing() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let error = impatient().patient(ours).write_all(&[0; 17]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_a_little_at_a_time_gets_all() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let reader = tokio::spawn(async move {
            let mut taken = Vec::new();
            while theirs.read_buf(&mut taken).await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            taken.len()
        });
        let mut ours = impatient().patient(ours);
        ours.write_all(&[0; 160]).await.unwrap();
        drop(ours);
        assert_eq!(reader.await.unwrap(), 160);
    }
}
