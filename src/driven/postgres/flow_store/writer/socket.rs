//! The half of a connection that reads and writes, driven by the one task that asks: an answer then needs no hop from
//! a task of the connection's own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio_postgres::tls::NoTlsStream;

use crate::driven::postgres::error;

type Half = tokio_postgres::Connection<tokio_postgres::Socket, NoTlsStream>;

/// Empty once the connection has ended; whoever waits for an answer is told so then.
pub(super) struct Socket(Option<Box<Half>>);

impl Socket {
    pub(super) fn new(half: Half) -> Self {
        Self(Some(Box::new(half)))
    }

    /// Waits for an answer and moves the bytes meanwhile.
    pub(super) async fn until<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(value),
            Poll::Pending => {
                // What has been asked leaves at once. An answer, or the end, wakes this task again.
                if self.poll_end(context).is_ready() { answer.as_mut().poll(context) } else { Poll::Pending }
            }
        })
        .await
    }

    /// Waits for the connection's end.
    pub(super) async fn ended(&mut self) {
        poll_fn(|context| self.poll_end(context)).await;
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(half) = &mut self.0 else { return Poll::Ready(()) };
        match Pin::new(half).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(end) => {
                if let Err(error) = end {
                    log::info!("the checkpoint connection ended: {}", error::describe(&error));
                }
                self.0 = None;
                Poll::Ready(())
            }
        }
    }
}
