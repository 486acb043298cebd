//! Hears a running Terraform: passes on what it says and has the state copied whenever it changed.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flow_domain::ports::{Lines, TerraformWatch};
use flow_domain::{CancelSignal, SessionId, labs::StateCopies};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::Patience;
use super::place::{Command, Place};
use super::state;
use super::stream::Stream;

/// Terraform tells of an object just before it writes the state.
const WRITTEN_WITHIN: Duration = Duration::from_millis(150);
/// An unreadable state is being written; looked at again this often, this many times.
const READ_AGAIN: u32 = 20;
/// How often time alone may move the bar.
const TICK: Duration = Duration::from_secs(1);

pub struct Listener<'a> {
    place: &'a Place,
    command: Command,
    watch: &'a dyn TerraformWatch,
    stop: CancelSignal,
    patience: &'a Patience,
    started: Instant,
    heard: Mutex<Heard>,
    state_changed: Notify,
}

struct Heard {
    stream: Stream,
    last: Instant,
    plan_timed_out: bool,
}

impl<'a> Listener<'a> {
    /// `stop` is fired when Terraform speaks a language we cannot read.
    pub fn new(
        place: &'a Place,
        command: Command,
        watch: &'a dyn TerraformWatch,
        stop: CancelSignal,
        stream: Stream,
        patience: &'a Patience,
    ) -> Self {
        let started = Instant::now();
        let heard = Mutex::new(Heard { stream, last: started, plan_timed_out: false });
        Self { place, command, watch, stop, patience, started, heard, state_changed: Notify::new() }
    }

    /// What was heard, and whether it was stopped for a plan that took too long.
    pub fn into_heard(self) -> (Stream, bool) {
        let heard = self.heard.into_inner().unwrap_or_else(PoisonError::into_inner);
        (heard.stream, heard.plan_timed_out)
    }

    /// Copies the state after each change, for as long as it is polled.
    pub async fn keep_state(&self, copies: &dyn StateCopies, session: SessionId) -> ! {
        let mut silence_told = Duration::ZERO;
        loop {
            self.end_long_plan();
            if timeout(TICK, self.state_changed.notified()).await.is_err() {
                silence_told = self.tick(silence_told);
                continue;
            }
            self.place.reserve(self.command);
            sleep(WRITTEN_WITHIN).await;
            keep(copies, session, &self.place.state()).await;
        }
    }

    /// Nothing is made before the plan stands, so that a stop takes nothing away.
    fn end_long_plan(&self) {
        if !self.changes() || self.started.elapsed() < self.patience.plan {
            return;
        }
        let mut heard = self.lock();
        if heard.stream.is_planning() && !heard.plan_timed_out {
            heard.plan_timed_out = true;
            self.stop.cancel();
        }
    }

    fn changes(&self) -> bool {
        matches!(self.command, Command::Apply | Command::Destroy)
    }

    /// Tells what time alone brings: progress, where earlier runs or tasks of machines are known, and a word on a long
    /// silence. Returns how long a silence was last told of.
    fn tick(&self, told: Duration) -> Duration {
        let machines = self.changes().then(|| self.watch.machines());
        let (silent, progress) = {
            let mut heard = self.lock();
            if let Some(machines) = machines {
                heard.stream.hear_machines(machines);
            }
            (heard.last.elapsed(), heard.stream.tick(Timestamp::now()))
        };
        if let Some((percent, message)) = progress {
            self.tell(percent, &message);
        }
        if silent < self.patience.silence {
            return Duration::ZERO;
        }
        if silent < told + self.patience.silence {
            return told;
        }
        self.watch.line(&format!("Terraform has said nothing for {} s.", silent.as_secs()));
        silent
    }

    /// A session's directory is nobody's business.
    fn say(&self, line: &str) {
        self.watch.line(&self.hide(line));
    }

    fn tell(&self, percent: u8, message: &str) {
        self.place.set_percent(self.command, percent);
        self.watch.progress(percent, &self.hide(message));
    }

    fn hide(&self, line: &str) -> String {
        line.replace(&*self.place.dir().to_string_lossy(), ".")
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies the state, waiting for a write to end; what cannot be copied now is copied with the next one.
pub async fn keep(copies: &dyn StateCopies, session: SessionId, file: &Path) {
    for _ in 0..READ_AGAIN {
        match state::keep(copies, session, file).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => log::warn!("session={session} state not copied: {error}"),
        }
        sleep(WRITTEN_WITHIN).await;
    }
    log::warn!("session={session} state not copied: it cannot be read");
}

impl Lines for Listener<'_> {
    fn stdout(&self, line: &str) {
        let news = {
            let mut heard = self.lock();
            heard.last = Instant::now();
            let news = heard.stream.read(line);
            let unreadable = heard.stream.unsupported().is_some();
            if unreadable {
                self.stop.cancel();
            }
            if heard.stream.touched() || unreadable {
                self.place.touch();
            }
            news
        };
        for line in &news.lines {
            self.say(line);
        }
        if let Some((percent, message)) = news.progress {
            self.tell(percent, &message);
        }
        if news.state_changed {
            self.state_changed.notify_one();
        }
    }

    fn stderr(&self, line: &str) {
        self.say(line);
    }
}
