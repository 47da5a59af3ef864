//! The bytes between a probe and a member, below TLS.
//!
//! They are counted: whatever a member says without an end (headers, interim replies, records of TLS) ends here, where
//! nothing else ends it.
//!
//! And the member is heard out: one that does not like our certificate sends an alert and closes, maybe before it has read
//! the request (TLS 1.3 shows certificates that late). Writing the request then fails, with an error that tells nothing,
//! while the alert waits to be read. So what cannot be written is passed over: the next read tells the alert, or the end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most that is read of one connection, unless said otherwise: a reply in small pieces, and what TLS needs around it.
const MOST: usize = 512 * 1024;

/// A connection to a member.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    read: usize,
    most: usize,
}

/// A member said more than anybody needs to hear.
#[derive(Debug, thiserror::Error)]
#[error("the member said more than {} KiB", .0 / 1024)]
pub(super) struct TooMuch(usize);

impl Wire {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, read: 0, most: MOST }
    }

    /// Makes room for a body of so many bytes.
    pub(super) fn expect(&mut self, body: usize) {
        self.most = MOST.max(body / 3 * 4);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read > self.most {
            return Poll::Ready(Err(io::Error::other(TooMuch(self.most))));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read += buf.filled().len() - before;
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf).map(|written| Ok(written.unwrap_or(buf.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = bufs.iter().map(|buf| buf.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        written.map(|written| Ok(written.unwrap_or(all)))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Wire::new(near), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn last_words_are_heard_though_nobody_listens_any_more() {
        let (mut near, mut far) = pair().await;
        near.write_all(b"asked, and never read").await.unwrap();
        far.readable().await.unwrap();
        far.write_all(b"go away").await.unwrap();
        drop(far); // with something unread: the kernel resets the connection
        while near.stream.try_write(b"more").is_ok() {
            tokio::task::yield_now().await;
        }
        near.write_all(b"in vain").await.unwrap();
        let mut said = Vec::new();
        let _ = near.read_to_end(&mut said).await;
        assert_eq!(said, b"go away");
    }

    #[tokio::test]
    async fn enough_is_enough() {
        let (mut near, mut far) = pair().await;
        let flood = tokio::spawn(async move { while far.write_all(&[0; 4096]).await.is_ok() {} });
        let mut heard = 0;
        let e = loop {
            match near.read(&mut [0; 4096]).await {
                Ok(more) => heard += more,
                Err(e) => break e,
            }
        };
        assert!(e.downcast::<TooMuch>().is_ok());
        assert!((MOST..=MOST + 4096).contains(&heard), "{heard}");
        drop(near);
        flood.await.unwrap();
    }
}
