//! The half of a connection that reads and writes, driven by the one task that asks: an answer then needs no hop from
//! a task of the connection's own.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use crate::driven::postgres::error;
use crate::driven::postgres::tls::TlsStream;

type Half = tokio_postgres::Connection<tokio_postgres::Socket, TlsStream>;

/// Empty once the connection has ended; whoever waits for an answer is told so then.
pub(super) struct Socket {
    half: Option<Box<Half>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl Socket {
    pub(super) fn new(half: Half) -> Self {
        let bell = Arc::new(Bell::default());
        Self { half: Some(Box::new(half)), waker: bell.clone().into(), bell }
    }

    /// Waits for an answer and moves the bytes meanwhile.
    pub(super) async fn until<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        poll_fn(|context| {
            self.bell.task.register(context.waker());
            loop {
                self.bell.begin();
                if let Poll::Ready(value) = answer.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                    return Poll::Ready(value);
                }
                self.drive();
                if !self.bell.rang() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Waits for the connection's end.
    pub(super) async fn ended(&mut self) {
        poll_fn(|context| {
            self.bell.task.register(context.waker());
            loop {
                self.bell.begin();
                self.drive();
                match (&self.half, self.bell.rang()) {
                    (None, _) => return Poll::Ready(()),
                    (Some(_), false) => return Poll::Pending,
                    (Some(_), true) => {}
                }
            }
        })
        .await;
    }

    /// Sends what was asked and hands on what came. Dropping the half at its end tells those who wait for an answer.
    fn drive(&mut self) {
        let Some(half) = &mut self.half else { return };
        if let Poll::Ready(end) = Pin::new(half).poll(&mut Context::from_waker(&self.waker)) {
            if let Err(error) = end {
                log::info!("the checkpoint connection ended: {}", error::describe(&error));
            }
            self.half = None;
        }
    }
}

/// The two halves wake each other while they are polled. Passed on, that would send the task once more through the
/// scheduler, which wakes another thread for it; here it is only another turn.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    polled: AtomicBool,
    rung: AtomicBool,
}

impl Bell {
    fn begin(&self) {
        self.polled.store(true, Ordering::SeqCst);
        self.rung.store(false, Ordering::SeqCst);
    }

    /// Whether it rang since [`Bell::begin`]; from here on it wakes the task.
    fn rang(&self) -> bool {
        self.polled.store(false, Ordering::SeqCst);
        self.rung.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        if !self.polled.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}
