//! A process of the service that lives until its run is over, or it dies at a write.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Builder;

use crate::flows::engine::{Engine, Setup};
use crate::flows::registry::Registry;
use crate::flows::run::Run;
use crate::flows::secret::Secrets;
use crate::flows::store::Worker;
use crate::testing::{MemoryFlowStore, TestContext};
use crate::{Error, Result, RunId, WorkerId, clock};

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looks before the run is said to hang: some five hours of its time.
const MOST_LOOKS: usize = 100_000;

/// None there.
struct NoSecrets;

#[async_trait::async_trait]
impl Secrets for NoSecrets {
    async fn resolve(&self, _: &str, _: Option<&str>) -> Result<(String, String)> {
        Err(Error::not_found("secret.unknown", "There is no such secret."))
    }
}

/// Starts the run, or takes it over, and drives it until it is over or the store's trap springs. Returns what time it
/// is then. Nothing of the process is left.
pub(super) fn live(
    world: &TestContext,
    registry: &Arc<Registry>,
    store: &Arc<MemoryFlowStore>,
    now: Timestamp,
    id: RunId,
    start: Option<Run>,
) -> Timestamp {
    let setup = Setup {
        store: store.clone(),
        registry: registry.clone(),
        ports: Arc::new(world.ports.clone()),
        secrets: Arc::new(NoSecrets),
        worker: Worker {
            id: WorkerId::new(),
            host: "here".to_owned(),
            host_id: "here".to_owned(),
            labels: Vec::new(),
            tasks: registry.iter().map(|(name, _)| name.to_owned()).collect(),
        },
        works: true,
        slots: 8,
        limited: false,
        leaves_children: false,
    };
    let drive = || async {
        clock::make_up(now);
        store.watch_thread();
        let engine = Engine::new(setup);
        tokio::spawn(engine.clone().work());
        engine.lease().held().await;
        let begun = async {
            if let Some(run) = start {
                engine.submit(run, None).await.expect("the store is in memory");
            }
            for _ in 0..MOST_LOOKS {
                match store.run_now(id) {
                    // It was never accepted.
                    None => return,
                    Some(run) if run.head.status.is_final() => return,
                    Some(_) => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
            panic!("the run hangs: {:#?}", store.run_now(id));
        };
        tokio::select! {
            () = begun => {}
            () = store.sprung() => {}
        }
        // Its leases are seen to run out by whoever comes next, whose clock must not be behind.
        clock::now() + SignedDuration::from_secs(1)
    };
    alone(drive)
}

/// Runs to its end on a thread and a runtime of its own, whose clock is paused; what is left of it then is dropped.
pub(super) fn alone<T, F>(work: impl FnOnce() -> F + Send) -> T
where
    T: Send,
    F: Future<Output = T>,
{
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime without I/O needs nothing").block_on(work())
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
