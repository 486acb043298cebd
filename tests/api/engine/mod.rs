//! The engine in this process, over memory and over PostgreSQL, with tasks made for the test.

mod attempts;
mod cancels;
mod counting;
mod deaf;
mod force;
mod gates;
mod hostile;
mod recovery;
mod script;
mod secrets;
mod takeover;
mod undo;
mod why;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::engine::Setup;
use flow_domain::flows::secret::Secrets;
use flow_domain::flows::store::Worker;
use flow_domain::flows::{
    Catalogue, Definition, Engine, Event, FlowStore, Flows, Policy, Registry, Run, Task,
};
use flow_domain::testing::TestContext;
use flow_domain::users::{Caller, Role};
use flow_domain::{Error, Result, RunId, UserId, WorkerId};
use flow_manager::driven::memory::MemoryFlowStore;
use flow_manager::driven::postgres::pool::session_config;
use flow_manager::driven::postgres::{PgFlowStore, PgPool, PoolSettings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::TestDb;
pub use script::{Notes, Script, fail, retry};

const PATIENCE: Duration = Duration::from_secs(40);
pub const SECRET: &str = "c4nary-S3cret/v4lue+77";

/// One process's engine with its flows, working until it is dropped.
pub struct Process {
    pub engine: Arc<Engine>,
    pub flows: Arc<Flows>,
    pub store: Arc<dyn FlowStore>,
    pub caller: Caller,
    work: JoinHandle<()>,
}

struct OneSecret;

#[async_trait]
impl Secrets for OneSecret {
    async fn resolve(&self, path: &str, _version: Option<&str>) -> Result<(String, String)> {
        match path {
            "the/canary" => Ok((SECRET.into(), "7".into())),
            _ => Err(Error::not_found("secret.unknown", "There is no such secret.")),
        }
    }
}

pub fn worker(tasks: &[Arc<Script>]) -> Worker {
    Worker {
        id: WorkerId::new(),
        host: "here".into(),
        host_id: "here".into(),
        labels: vec![],
        tasks: tasks.iter().map(|task| task.name().to_owned()).collect(),
    }
}

impl Process {
    pub async fn start(store: Arc<dyn FlowStore>, tasks: &[Arc<Script>]) -> Self {
        Self::start_with(store, tasks, 64, vec![]).await
    }

    pub async fn start_with(
        store: Arc<dyn FlowStore>,
        tasks: &[Arc<Script>],
        slots: usize,
        flows: Vec<Value>,
    ) -> Self {
        let as_tasks = tasks.iter().map(|task| task.clone() as Arc<dyn Task>).collect();
        let registry = Arc::new(Registry::new(as_tasks).unwrap());
        let engine = Engine::new(Setup {
            store: store.clone(),
            registry: registry.clone(),
            ports: Arc::new(TestContext::new().ports),
            secrets: Arc::new(OneSecret),
            worker: worker(tasks),
            works: true,
            slots,
            limited: true,
            leaves_children: false,
        });
        let definitions: Vec<Definition> =
            flows.into_iter().map(|flow| serde_json::from_value(flow).unwrap()).collect();
        let catalogue = Catalogue::new(definitions, Default::default(), &registry).ok().unwrap();
        let flows = Arc::new(Flows::new(engine.clone(), store.clone(), Arc::new(catalogue), registry));
        let work = tokio::spawn(engine.clone().work());
        engine.lease().held().await;
        Self { engine, flows, store, caller: Caller { id: UserId::new(), role: Role::Operator }, work }
    }

    /// Starts a flow and does not wait.
    pub async fn begin(&self, flow: Value) -> RunId {
        self.flows.start(&self.caller, flow, json!({}), None).await.unwrap().run.id
    }

    /// Runs a flow to its end.
    pub async fn run(&self, flow: Value) -> Run {
        let id = self.begin(flow).await;
        self.ended(id).await
    }

    pub async fn read(&self, id: RunId) -> Run {
        self.store.run(id).await.unwrap().unwrap()
    }

    pub async fn ended(&self, id: RunId) -> Run {
        self.seen(id, |run| run.head.status.is_final()).await
    }

    /// The run, once it is as wanted.
    pub async fn seen(&self, id: RunId, wanted: impl Fn(&Run) -> bool) -> Run {
        until(async || Some(self.read(id).await).filter(|run| wanted(run))).await
    }

    /// Every event so far, checked to be numbered from 1 without a gap.
    pub async fn events(&self, id: RunId) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event.number);
            let (more, _) = self.store.events(id, after, 100_000).await.unwrap();
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        let numbers: Vec<i64> = events.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (1..=events.len() as i64).collect::<Vec<_>>());
        events
    }

    pub async fn kinds(&self, id: RunId) -> Vec<&'static str> {
        self.events(id).await.iter().map(|event| event.kind.as_str()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.engine.stop();
        self.work.abort();
    }
}

/// Polls until there is an answer.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it never came")
}

/// As a process of its own would have it: nothing shared but the database.
pub fn pg_store(db: &TestDb) -> PgFlowStore {
    pg_store_of(&db.config)
}

pub fn pg_store_of(config: &tokio_postgres::Config) -> PgFlowStore {
    let settings = PoolSettings { size: 4, ..PoolSettings::default() };
    let pool = PgPool::new(config, &settings);
    PgFlowStore::new(pool.clone(), pool, &session_config(config, &settings))
}

/// A flow of these steps, each a task of its name, none with an input.
pub fn flow(steps: &[&str]) -> Value {
    let tasks: Vec<Value> = steps.iter().map(|name| json!({"name": name, "task": name})).collect();
    json!({"name": "test", "tasks": tasks})
}

pub fn with(mut flow: Value, more: Value) -> Value {
    flow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    flow
}

/// Retries at once, so that tests need not wait for them.
pub fn eager(attempts: u32) -> Policy {
    let soon = Duration::from_millis(1);
    Policy { attempts, backoff: soon, backoff_max: soon, grace: soon, ..Policy::default() }
}

pub fn count(counter: &std::sync::atomic::AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst)
}

pub fn code(run: &Run) -> &str {
    run.head.error.as_ref().map(|error| error.code.as_str()).unwrap_or_default()
}

/// Runs a test over memory and over PostgreSQL.
macro_rules! over_both {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(std::sync::Arc::new(crate::engine::MemoryFlowStore::default())).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let db = crate::engine::TestDb::new().await;
                super::$name(std::sync::Arc::new(crate::engine::pg_store(&db))).await;
            })+
        }
    };
}
use over_both;
