//! How long labs took.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::labs::{LabTimes, LabVersion, ObjectTime, Pace, Work};

use super::lock;

#[derive(Default)]
pub struct MemoryLabTimes {
    kept: Mutex<BTreeMap<(LabVersion, Work), Vec<Timed>>>,
}

struct Timed {
    took: Duration,
    objects: Vec<ObjectTime>,
}

#[async_trait]
impl LabTimes for MemoryLabTimes {
    async fn add(&self, of: &LabVersion, work: Work, took: Duration, objects: &[ObjectTime]) -> Result<()> {
        let timed = Timed { took, objects: objects.to_vec() };
        lock(&self.kept).entry((of.clone(), work)).or_default().push(timed);
        Ok(())
    }

    async fn pace(&self, of: &LabVersion, work: Work) -> Result<Pace> {
        let kept = lock(&self.kept);
        let Some(runs) = kept.get(&(of.clone(), work)) else { return Ok(Pace::default()) };
        let mut totals: Vec<Duration> = runs.iter().map(|run| run.took).collect();
        let objects = || runs.iter().flat_map(|run| &run.objects);
        Ok(Pace {
            runs: u32::try_from(runs.len()).unwrap_or(u32::MAX),
            half: share(&mut totals, 0.5),
            nearly_all: share(&mut totals, 0.95),
            objects: medians(objects().map(|it| ((it.action.clone(), it.address.clone()), it.took))),
            kinds: medians(objects().map(|it| ((it.action.clone(), it.kind.clone()), it.took))),
        })
    }
}

fn medians(
    times: impl Iterator<Item = ((String, String), Duration)>,
) -> BTreeMap<(String, String), Duration> {
    let mut by_key: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
    for (key, took) in times {
        by_key.entry(key).or_default().push(took);
    }
    by_key.into_iter().map(|(key, mut times)| (key, share(&mut times, 0.5))).collect()
}

/// The shortest time that this share of all does not exceed, as PostgreSQL's `percentile_disc` has it.
fn share(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    let at = (times.len() as f64 * share).ceil() as usize;
    times.get(at.saturating_sub(1)).copied().unwrap_or_default()
}
