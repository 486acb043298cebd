//! What is counted while the service works, for whoever watches it.
//!
//! Counting costs an atomic addition: what counts on the engine's way neither waits nor locks. A reading is taken when
//! somebody looks, and says of each family what its samples are now.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;

/// Seconds, for what may take a millisecond or ten minutes.
pub const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 600.0];
/// How many at once.
pub const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Something that can be looked at.
#[async_trait]
pub trait Meters: Send + Sync {
    /// All that there is to say now. What cannot be read is left out.
    async fn read(&self) -> Vec<Family>;
}

/// Samples of one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// In snake case, with its unit; a counter's `_total` is added by who shows it.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    pub samples: Vec<Sample>,
}

impl Family {
    pub fn new(name: &'static str, help: &'static str, samples: Vec<Sample>) -> Self {
        Self { name, help, samples }
    }

    /// One that has no labels.
    pub fn of_one(name: &'static str, help: &'static str, reading: Reading) -> Self {
        Self::new(name, help, vec![Sample::new([], reading)])
    }
}

#[derive(Clone, Debug)]
pub struct Sample {
    pub labels: Vec<(&'static str, String)>,
    pub reading: Reading,
}

impl Sample {
    pub fn new<const N: usize>(labels: [(&'static str, &str); N], reading: Reading) -> Self {
        Self { labels: labels.map(|(name, value)| (name, value.to_owned())).into(), reading }
    }
}

/// All samples of a family are of one kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    Counter(f64),
    Gauge(f64),
    /// How many were at most each bound, and above the one before it; the last bound has no end.
    Histogram {
        sum: f64,
        count: u64,
        buckets: Vec<(f64, u64)>,
    },
}

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub fn reading(&self) -> Reading {
        Reading::Counter(self.count() as f64)
    }
}

/// Counts values by size, without a lock: a reading taken meanwhile may lack the last of them.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Vec<AtomicU64>,
    /// In millionths, so that adding is one instruction.
    sum_micros: AtomicU64,
}

impl Histogram {
    /// `bounds` go upwards.
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_micros: AtomicU64::new(0) }
    }

    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum_micros.fetch_add((value.max(0.0) * 1e6) as u64, Relaxed);
    }

    pub fn took(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    pub fn reading(&self) -> Reading {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets: Vec<_> =
            bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        Reading::Histogram {
            sum: self.sum_micros.load(Relaxed) as f64 / 1e6,
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_at_the_first_bound_that_holds_it() {
        let histogram = Histogram::new(&[1.0, 10.0]);
        for value in [0.5, 1.0, 1.5, 10.0, 11.0] {
            histogram.observe(value);
        }
        let buckets = vec![(1.0, 2), (10.0, 2), (f64::INFINITY, 1)];
        assert_eq!(histogram.reading(), Reading::Histogram { sum: 24.0, count: 5, buckets });
    }

    #[test]
    fn counts_of_many_threads_add_up() {
        let (counter, histogram) = (Counter::default(), Histogram::new(SECONDS));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| {
                        counter.add(1);
                        histogram.took(Duration::from_millis(2));
                    })
                });
            }
        });
        assert_eq!(counter.count(), 4000);
        let Reading::Histogram { sum, count, .. } = histogram.reading() else { panic!() };
        assert_eq!((count, sum), (4000, 8.0));
    }
}
