//! Being told to stop: how a run was asked to end, and the signal that carries it to whatever runs.

use tokio_util::sync::CancellationToken;

/// How a run was asked to end; the later one is the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cancel {
    /// What runs is told, and has its grace.
    Orderly,
    /// An operator's: what runs is ended at once, and what a dead machine holds is given up.
    Forced,
}

/// Tells what is under way to stop: first asks, then, if somebody says so, leaves no choice. Clones are one signal.
#[derive(Clone, Debug, Default)]
pub struct CancelSignal {
    asked: CancellationToken,
    forced: CancellationToken,
}

impl CancelSignal {
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks: what hears it ends by itself, within its grace.
    pub fn cancel(&self) {
        self.asked.cancel();
    }

    /// The grace is over, whether it had begun or not.
    pub fn force(&self) {
        self.forced.cancel();
        self.asked.cancel();
    }

    pub fn tell(&self, how: Cancel) {
        match how {
            Cancel::Orderly => self.cancel(),
            Cancel::Forced => self.force(),
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.asked.is_cancelled()
    }

    pub fn is_forced(&self) -> bool {
        self.forced.is_cancelled()
    }

    /// Ready once it was asked or forced.
    pub async fn cancelled(&self) {
        self.asked.cancelled().await;
    }

    /// Ready once there is no grace any more.
    pub async fn forced(&self) {
        self.forced.cancelled().await;
    }

    /// Hears what this one hears; what it is told itself goes no further.
    pub fn child_token(&self) -> Self {
        Self { asked: self.asked.child_token(), forced: self.forced.child_token() }
    }
}
