//! Tasks of the cluster about a session's machines, watched while Terraform works. They refine how far it is, and are
//! told in the session's timeline and the run's log, once. Terraform never waits for them: what cannot be asked is not
//! told.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flow_domain::SessionId;
use flow_domain::clock;
use flow_domain::flows::Context;
use flow_domain::flows::secret::Given;
use flow_domain::labs::machines::{MachineTask, MachinesAtWork, TaskFeed, TaskNews};
use flow_domain::ports::TerraformJob;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::own_folder;

/// Between two looks, and after one that failed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// A look that takes longer is given up.
const LOOK_WITHIN: Duration = Duration::from_secs(20);
/// The same for the last look, for which the step waits.
const LAST_LOOK_WITHIN: Duration = Duration::from_secs(3);
/// Failures that are told beside Terraform's.
const MOST_FAULTS: usize = 5;

/// From when on tasks are to be told, in the service's own folder of a session's directory. It is there as long as not
/// all of them were, so that whoever comes next tells the rest.
const SINCE: &str = "machine-tasks";

pub struct Watching {
    session: SessionId,
    vmids: Vec<u32>,
    dir: PathBuf,
    seen: Mutex<Vec<MachineTask>>,
    /// Somebody wants to know.
    asked: Notify,
    told: Mutex<BTreeSet<String>>,
}

impl Watching {
    /// With no ids there is nothing to watch.
    pub fn of(job: &TerraformJob, vmids: Vec<u32>) -> Self {
        Self {
            session: job.session,
            vmids,
            dir: job.dir.clone(),
            seen: Mutex::default(),
            asked: Notify::new(),
            told: Mutex::default(),
        }
    }

    /// What is known now; the next look comes soon.
    pub fn now(&self) -> MachinesAtWork {
        self.asked.notify_one();
        MachinesAtWork { vmids: self.vmids.clone(), tasks: held(&self.seen).clone() }
    }

    /// What went wrong, in the cluster's own words: "web-1: cloning disk failed: …".
    pub fn faults(&self) -> Vec<String> {
        let seen = held(&self.seen);
        let failed = seen.iter().filter(|task| task.failed());
        failed.map(|task| format!("{}: {task}", task.machine())).take(MOST_FAULTS).collect()
    }

    /// Watches while `work` is done.
    pub async fn during<T>(&self, ctx: &Context, given: &Given, work: impl Future<Output = T>) -> T {
        if self.vmids.is_empty() {
            return work.await;
        }
        let since = since(&self.dir, clock::now());
        let mut feed = ctx.ports.machines.follow(&self.vmids, since);
        let mut well = true;
        let ended = tokio::select! {
            ended = work => ended,
            never = self.watch(ctx, given, &mut *feed, &mut well) => never,
        };
        // What ended together with Terraform; of a cluster that was away nothing is expected.
        if well {
            let last = timeout(LAST_LOOK_WITHIN, self.look(ctx, given, &mut *feed)).await;
            if matches!(last, Ok(Ok(true))) {
                forget_since(&self.dir);
            }
        }
        ended
    }

    async fn watch(&self, ctx: &Context, given: &Given, feed: &mut dyn TaskFeed, well: &mut bool) -> ! {
        let mut complained = false;
        loop {
            self.asked.notified().await;
            let looked = timeout(LOOK_WITHIN, self.look(ctx, given, feed)).await;
            let why = match looked {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it takes too long to answer".to_owned()),
            };
            *well = why.is_none();
            if let Some(why) = why.as_ref().filter(|_| !complained) {
                complained = true;
                log::warn!(
                    "session={} tasks of its machines are not told at the moment: {why}",
                    self.session
                );
            }
            sleep(if *well { LOOK_EVERY } else { AFTER_FAILURE }).await;
        }
    }

    /// One look; whether all there was is told, and nothing more is to come of it.
    async fn look(&self, ctx: &Context, given: &Given, feed: &mut dyn TaskFeed) -> flow_domain::Result<bool> {
        let tasks = feed.look().await?;
        held(&self.seen).clone_from(&tasks);
        for news in tasks.iter().flat_map(MachineTask::news) {
            if held(&self.told).contains(&news.key) {
                continue;
            }
            let TaskNews { key, data, line } = news;
            let (data, line) = (given.scrub_value(data), given.scrub(&line));
            let clean = TaskNews { key: given.scrub(&key), data, line };
            if ctx.ports.task_notes.tell(self.session, &clean).await? {
                ctx.line(&clean.line);
            }
            held(&self.told).insert(key);
        }
        Ok(tasks.iter().all(|task| !task.is_running()))
    }
}

/// From when on tasks are to be told: from now on, or from when an earlier process or command began that could not tell
/// all of them.
fn since(dir: &Path, now: Timestamp) -> Timestamp {
    let read = || -> io::Result<Option<Timestamp>> {
        let file = own_folder(dir)?.join(SINCE);
        match fs::read_to_string(&file) {
            Ok(text) => Ok(text.parse().ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::write(&file, now.to_string())?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    };
    read().ok().flatten().unwrap_or(now)
}

fn forget_since(dir: &Path) {
    let _ = fs::remove_file(dir.join(".flow").join(SINCE));
}

/// What it guards is whole whenever it is let go, so a panic elsewhere leaves nothing half-done.
fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
