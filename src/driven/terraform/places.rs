//! How many commands run at once in this process. The others stand in one queue, first come, first served, and hear
//! where they stand.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub struct Places {
    at_once: usize,
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
pub struct Taken<'a>(&'a Places);

/// Somebody in the queue, who leaves it with the value.
struct Waiting<'a> {
    places: &'a Places,
    number: u64,
}

/// Where a command stands: its position from 1, of how many that wait.
pub type Position = (usize, usize);

impl Places {
    pub fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), standing: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Waits for its turn, and tells where it stands whenever that is another place.
    pub async fn take(&self, tell: impl Fn(Position)) -> Taken<'_> {
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
            // It only fails once the sender is gone, and that is ours.
            let _ = changed.changed().await;
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
        if standing.taken < self.at_once && standing.queue.front() == Some(&number) {
            standing.queue.pop_front();
            standing.taken += 1;
            drop(standing);
            // Others have moved up, and there may be another place.
            self.changed.send_replace(());
            return Ok(Taken(self));
        }
        let ahead = standing.queue.iter().position(|other| *other == number).unwrap_or_default();
        Err((ahead + 1, standing.queue.len()))
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
        self.0.changed.send_replace(());
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
        let places = Arc::new(Places::new(2));
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
        let places = Places::new(1);
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
}
