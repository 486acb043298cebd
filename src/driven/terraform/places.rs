//! How many commands run at once in this process, and among all processes that share a directory. The others stand in
//! one queue a process, first come, first served, and hear where they stand.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::driven::process::record::private_dir;

/// How often places that other processes hold are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

pub struct Places {
    at_once: usize,
    /// A file a place, locked by whoever has it: all processes of a host that share the directory.
    shared: Option<PathBuf>,
    standing: Mutex<Standing>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Standing {
    taken: usize,
    queue: VecDeque<u64>,
    next: u64,
}

/// A place, given back with the value.
pub struct Taken<'a> {
    places: &'a Places,
    _shared: Option<File>,
}

/// Somebody in the queue, who leaves it with the value.
struct Waiting<'a> {
    places: &'a Places,
    number: u64,
}

/// Where a command stands: its position from 1, of how many that wait.
pub type Position = (usize, usize);

impl Places {
    pub fn new(at_once: usize, shared: Option<PathBuf>) -> Self {
        Self { at_once: at_once.max(1), shared, standing: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// For a command that runs already, whoever started it: others wait for it, it waits for nobody.
    pub fn take_now(&self) -> Taken<'_> {
        self.lock().taken += 1;
        Taken { places: self, _shared: self.shared_place().ok().flatten() }
    }

    /// Waits for its turn, and tells where it stands whenever that is another place.
    pub async fn take(&self, mut tell: impl FnMut(Position)) -> Taken<'_> {
        let mut changed = self.changed.subscribe();
        let waiting = self.join();
        let mut told = None;
        loop {
            changed.borrow_and_update();
            match self.try_take(waiting.number) {
                Ok(taken) => return taken,
                Err(position) if told == Some(position) => {}
                Err(position) => {
                    tell(position);
                    told = Some(position);
                }
            }
            // It only fails once the sender is gone, and that is ours. Of other processes nothing is heard.
            let _ = match self.shared {
                Some(_) => timeout(LOOK_AGAIN, changed.changed()).await.is_ok(),
                None => changed.changed().await.is_ok(),
            };
        }
    }

    fn join(&self) -> Waiting<'_> {
        let mut standing = self.lock();
        let number = standing.next;
        standing.next += 1;
        standing.queue.push_back(number);
        Waiting { places: self, number }
    }

    fn try_take(&self, number: u64) -> Result<Taken<'_>, Position> {
        let mut standing = self.lock();
        if standing.taken < self.at_once
            && standing.queue.front() == Some(&number)
            && let Some(shared) = self.place_of_the_host()
        {
            standing.queue.pop_front();
            standing.taken += 1;
            drop(standing);
            // Others have moved up, and there may be another place.
            self.changed.send_replace(());
            return Ok(Taken { places: self, _shared: shared });
        }
        let ahead = standing.queue.iter().position(|other| *other == number).unwrap_or_default();
        Err((ahead + 1, standing.queue.len()))
    }

    /// None while other processes have all of them. Where they cannot be shared this process's own limit holds.
    fn place_of_the_host(&self) -> Option<Option<File>> {
        if self.shared.is_none() {
            return Some(None);
        }
        match self.shared_place() {
            Ok(place) => place.map(Some),
            Err(error) => {
                log::error!("terraform.places_dir is not used: {error}");
                Some(None)
            }
        }
    }

    fn shared_place(&self) -> io::Result<Option<File>> {
        let Some(dir) = &self.shared else { return Ok(None) };
        private_dir(dir)?;
        for number in 1..=self.at_once {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(dir.join(format!("place-{number}")))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.places.lock().taken -= 1;
        self.places.changed.send_replace(());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.places.lock().queue.retain(|number| *number != self.number);
        self.places.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn the_queue_is_served_in_order_and_everyone_hears_where_they_stand() {
        let places = Arc::new(Places::new(2, None));
        let (first, second) = (places.take(|_| {}).await, places.take(|_| {}).await);
        let (served, mut order) = mpsc::unbounded_channel();
        let (told, mut heard) = mpsc::unbounded_channel();
        for name in 0..4 {
            let (queue, served, said) = (places.clone(), served.clone(), told.clone());
            let task = async move {
                let taken = queue.take(|position| said.send((name, position)).unwrap()).await;
                served.send(name).unwrap();
                drop(taken);
            };
            tokio::spawn(task);
            // It stands in the queue before the next one comes.
            assert_eq!(heard.recv().await.map(|(who, (at, _))| (who, at)), Some((name, name + 1)));
            while places.lock().queue.len() <= name {
                tokio::task::yield_now().await;
            }
        }
        drop(first);
        for name in 0..4 {
            assert_eq!(order.recv().await, Some(name));
        }
        drop(second);
        drop(told);
        let mut last = [usize::MAX; 4];
        while let Some((name, (at, of))) = heard.recv().await {
            assert!(at <= of && at <= last[name], "{name} went back to {at}");
            last[name] = at;
        }
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let places = Places::new(1, None);
        let only = places.take(|_| {}).await;
        {
            let mut gives_up = Box::pin(places.take(|_| {}));
            assert!(futures_util::poll!(&mut gives_up).is_pending());
            assert_eq!(places.lock().queue.len(), 1);
        }
        assert_eq!(places.lock().queue.len(), 0);
        drop(only);
        drop(places.take(|_| panic!("there is a place")).await);
        assert_eq!(places.lock().taken, 0);
    }

    #[tokio::test]
    async fn processes_that_share_a_directory_share_its_places() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [2, 2].map(|at_once| Places::new(at_once, Some(dir.path().to_owned())));
        let (first, second) = (one.take(|_| {}).await, other.take(|_| {}).await);
        let mut told = None;
        let mut third = Box::pin(other.take(|position| told = Some(position)));
        assert!(futures_util::poll!(&mut third).is_pending(), "two in all, though each has only one");
        drop(first);
        let third = third.await;
        assert_eq!(told, Some((1, 1)));
        drop((second, third));
        let running = one.take_now();
        let _last = other.take(|_| {}).await;
        assert!(
            futures_util::poll!(Box::pin(other.take(|_| {}))).is_pending(),
            "one that runs already counts"
        );
        drop(running);
    }

    #[tokio::test]
    async fn who_runs_already_waits_for_nobody_and_others_wait_for_it() {
        let places = Places::new(1, None);
        let (first, second) = (places.take_now(), places.take_now());
        drop(first);
        assert!(futures_util::poll!(Box::pin(places.take(|_| {}))).is_pending());
        drop(second);
        drop(places.take(|_| panic!("there is a place")).await);
    }
}
