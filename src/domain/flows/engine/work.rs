//! The background work of an engine: its lease, its claims, its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::Engine;
use super::lease::{LOST_AFTER, RENEW_EVERY};
use crate::RunId;
use crate::flows::store::Signal;

/// Claims at most this many runs at a time, so that several processes share a burst.
const CLAIM_AT_ONCE: usize = 100;
/// Runs that wait for a claim are looked for at least this often, should a notification be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So often runs are looked for that wait for the end of a pause which has ended: left by a process that died between
/// letting one go and hearing of the end.
const WAKE_EVERY: Duration = Duration::from_secs(60);

impl Engine {
    /// Renews the lease and takes what comes, until [`Engine::stop`].
    pub async fn work(self: Arc<Self>) {
        // Before the first lease, with which the process is ready: nothing starts that is paused.
        self.learn_pauses().await;
        let renew = tokio::spawn(self.clone().renew());
        let listen = tokio::spawn(self.clone().listen());
        if self.works {
            self.clone().claim().await;
        } else {
            self.stopping.cancelled().await;
        }
        listen.abort();
        self.drives.close();
        self.drives.wait().await;
        renew.abort();
        if let Err(error) = self.store.retire(self.worker.id).await {
            log::warn!("the lease could not be given back, others wait until it runs out: {error}");
        }
    }

    /// Ends the claims; runs under way are parked at the next moment they can be.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Ready once [`Engine::stop`] was called.
    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }

    async fn renew(self: Arc<Self>) {
        let mut tick = tokio::time::interval(RENEW_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tick.tick().await;
            let sent = Instant::now();
            match self.store.renew(&self.worker).await {
                Ok(()) => {
                    self.lease.renewed(sent);
                    if std::mem::take(&mut away) {
                        log::info!("the database is back");
                    }
                }
                Err(error) if !away => {
                    away = true;
                    log::error!("the lease could not be renewed: {error}");
                }
                Err(_) => {}
            }
        }
    }

    async fn listen(self: Arc<Self>) {
        loop {
            match self.store.signal().await {
                Signal::Cancel(run, how) => {
                    self.live.cancel(run, how);
                }
                Signal::Offered(run) => self.clone().accept(run).await,
                Signal::Claimable => self.live.claimable.notify_one(),
                Signal::Pauses => self.learn_pauses().await,
                Signal::Missed => {
                    self.learn_pauses().await;
                    self.catch_up().await;
                }
            }
        }
    }

    /// Takes a run that was offered, unless another has or this process cannot: then a look finds it.
    async fn accept(self: Arc<Self>, run: RunId) {
        if !self.works || self.is_stopping() || !self.lease.is_held() {
            return;
        }
        match self.store.claim_one(&self.worker, run).await {
            Ok(Some(run)) => drop(self.take(run)),
            Ok(None) => {}
            Err(error) => log::warn!("run={run} was offered and could not be claimed: {error}"),
        }
    }

    /// Looks for what was told while nobody heard it.
    async fn catch_up(&self) {
        self.live.claimable.notify_one();
        loop {
            match self.store.cancels(self.worker.id).await {
                Ok(cancels) => {
                    for (run, how) in cancels {
                        self.live.cancel(run, how);
                    }
                    return;
                }
                Err(error) => log::warn!("cancels that were not heard could not be looked for: {error}"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn claim(self: Arc<Self>) {
        let mut pause = Duration::ZERO;
        let mut woken = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.live.claimable.notified() => {}
                () = self.stopping.cancelled() => return,
            }
            pause = LOOK_EVERY;
            if !self.lease.is_held() {
                continue;
            }
            if woken.elapsed() >= WAKE_EVERY {
                woken = Instant::now();
                self.wake_paused().await;
            }
            let abandoned = self.lease.may_judge().then_some(LOST_AFTER);
            match self.store.claim(&self.worker, CLAIM_AT_ONCE, abandoned).await {
                Ok(runs) => {
                    if runs.len() == CLAIM_AT_ONCE {
                        pause = Duration::ZERO;
                    }
                    for run in runs {
                        self.take(run);
                    }
                }
                Err(error) => log::warn!("no runs could be claimed: {error}"),
            }
            if pause > Duration::ZERO
                && let Ok(Some(due)) = self.store.next_due().await
            {
                pause = pause.min(due);
            }
        }
    }
}
