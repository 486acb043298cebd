//! A write at which the process that makes it dies.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::super::held;

/// When, as seen from the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// What was to be written is lost.
    Before,
    /// It is durable, and nobody heard so.
    After,
    /// Not at a write: a task is about to have this effect on the world, counted from 1.
    Within,
}

#[derive(Default)]
struct Set {
    writes: usize,
    effects: usize,
    at: Option<(usize, Kill)>,
    sprung: bool,
}

thread_local! {
    /// Of the store whose process runs on this thread.
    static HERE: RefCell<Option<Arc<Trap>>> = const { RefCell::new(None) };
}

/// A fake is about to change the world for a task.
pub(in crate::testing) async fn effect() {
    let trap = HERE.with_borrow(Clone::clone);
    if let Some(trap) = trap {
        trap.have_effect().await;
    }
}

/// Counts the writes of runs, and stops at one of them for ever.
#[derive(Default)]
pub(super) struct Trap {
    set: Mutex<Set>,
    sprang: Notify,
}

impl Trap {
    /// The effects of this thread's tasks are counted as well.
    pub(super) fn watch_thread(self: &Arc<Self>) {
        HERE.set(Some(self.clone()));
    }

    pub(super) fn set(&self, at: Option<(usize, Kill)>) {
        *held(&self.set) = Set { at, ..Set::default() };
    }

    pub(super) fn writes(&self) -> usize {
        held(&self.set).writes
    }

    pub(super) fn effects(&self) -> usize {
        held(&self.set).effects
    }

    pub(super) fn is_sprung(&self) -> bool {
        held(&self.set).sprung
    }

    pub(super) async fn sprung(&self) {
        while !self.is_sprung() {
            self.sprang.notified().await;
        }
    }

    /// A write begins, unless it is the one before which its process dies.
    pub(super) async fn begin(&self) -> Option<Kill> {
        let kill = self.next();
        if kill == Some(Kill::Before) {
            self.spring().await;
        }
        kill
    }

    /// It is durable; nobody hears so of the one after which its process dies.
    pub(super) async fn end(&self, kill: Option<Kill>) {
        if kill == Some(Kill::After) {
            self.spring().await;
        }
    }

    fn next(&self) -> Option<Kill> {
        let mut set = held(&self.set);
        set.writes += 1;
        let writes = set.writes;
        set.at.filter(|(at, kill)| *at == writes && *kill != Kill::Within).map(|(_, kill)| kill)
    }

    async fn have_effect(&self) {
        let dies = {
            let mut set = held(&self.set);
            set.effects += 1;
            set.at == Some((set.effects, Kill::Within))
        };
        if dies {
            self.spring().await;
        }
    }

    async fn spring(&self) {
        held(&self.set).sprung = true;
        self.sprang.notify_one();
        std::future::pending().await
    }
}
