//! Puts the service together: the only place where drivers, domain and driven meet.

pub mod backup;
pub mod check;
mod database;
pub mod dead_letters;
mod demo;
mod flows_dir;
mod identity;
mod ingest;
mod keep_up;
pub mod lab;
mod late_tokens;
mod machines;
mod metrics;
mod openid;
mod place;
mod ports;
mod probes;
mod redis;
mod rooms;
mod running;
mod secrets;
pub mod signing;
mod stores;
mod terraform;
mod upkeep;
pub mod users;
mod watched;
mod working;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::WorkerId;
use flow_domain::cache::CountedCache;
use flow_domain::flows::engine::Setup;
use flow_domain::flows::meters::FlowMeters;
use flow_domain::flows::store::Worker;
use flow_domain::flows::{Engine, Flows, Registry};
use flow_domain::labs::Labs;
use flow_domain::users::Users;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::driven::postgres::migrate::{MIGRATIONS, migrate_blocking};
use crate::driven::postgres::{PgMeters, PgTimelines, PgUsers};
use crate::driven::process::{ChildPrograms, ProcessOptions, child_main};
use crate::driven::process_meters::ProcessMeters;
pub use crate::driven::start_error::StartError;
use crate::driven::state_dir::StateDir;
use crate::driver::http::health::{Checkup, Readiness};
use crate::driver::http::metrics::Metrics;
use crate::driver::http::{HttpSettings, Services, StreamSettings, Streams, server};
use database::Database;
pub use flows_dir::read_catalogue;
use late_tokens::LateTokens;
use openid::OpenId;
use probes::Parts;
use redis::Redis;
use running::Service;
use stores::Stores;
pub use working::work;
use working::{flow_store, in_runtime};

/// Serves until SIGINT or SIGTERM. The error is one sentence.
pub fn serve(config: Config) -> Result<(), StartError> {
    in_runtime(config, async |service, rocket, stop| service.run(rocket, stop).await)
}

/// Programs that run as this service's own user can read neither its memory nor its environment, where secrets are.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        log::warn!("other programs of this user can read this service's memory: {error}");
    }
}

/// Runs the program that a record directory describes, in a session of its own.
pub fn child(dir: &Path) -> ExitCode {
    // Exit codes are a byte wide.
    ExitCode::from(child_main(dir).clamp(0, 255) as u8)
}

/// Brings the database to this version's schema; the names of what that took.
pub fn migrate(config: Config) -> Result<Vec<&'static str>, StartError> {
    let state = StateDir::open(config.state.dir.as_deref())?;
    let database = Database::open(&config, &state)?;
    let applied = migrate_blocking(database.config.clone(), MIGRATIONS);
    database.close()?;
    applied.map_err(|error| StartError::new(error.public.clone()).because(error))
}

/// Makes every part and hands each what it needs; nothing is started yet.
fn assemble(
    config: Config,
    stores: Stores,
    workers: usize,
) -> Result<(Service, rocket::Rocket<rocket::Build>), String> {
    let registry = Arc::new(Registry::new(flow_tasks::all())?);
    let flows_dir = &config.config.dir;
    let catalogue =
        read_catalogue(flows_dir, &config.aliases, &registry).map_err(|faults| faults.join("\n"))?;
    let users: Arc<dyn Users> = Arc::new(PgUsers::new(stores.pool.clone()));
    let programs = Arc::new(ChildPrograms::new(ProcessOptions {
        executable: std::env::current_exe()
            .map_err(|error| format!("this program cannot find itself: {error}"))?,
        records: stores.state.path().join("children"),
        allowed: config.exec.allow.clone(),
    }));
    let redis = Redis::open(&config)?;
    let cache = Arc::new(CountedCache::new(redis.cache()));
    let rooms = rooms::assemble(&config, &stores, &redis);
    let openid = OpenId::new(&config, &stores, cache.clone())?;
    let kept = secrets::open(&config)?;
    let cluster = machines::open(&config, &stores)?;
    let (ports, terraform) = ports::ports(
        &config,
        &stores,
        users.clone(),
        programs.clone(),
        &openid,
        kept.store.clone(),
        &cluster,
    )?;
    let (labs, sessions, evidence) = (ports.labs.clone(), ports.sessions.clone(), ports.evidence.clone());
    let step_checks = ports.step_checks.clone();
    let timelines = Arc::new(PgTimelines::new(stores.pool.clone()));
    let ingest = ports.ingest.clone();

    let (flow_store, store) = flow_store(&config, &stores)?;
    let engine = Engine::new(Setup {
        store: store.clone(),
        registry: registry.clone(),
        ports: Arc::new(ports),
        secrets: kept.store.clone(),
        worker: Worker {
            id: WorkerId::new(),
            host_id: stores.state.host_id().map_err(|error| error.to_string())?,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            labels: config.worker.labels.clone(),
            tasks: registry.iter().map(|(name, _)| name.to_owned()).collect(),
        },
        works: config.worker.enabled,
        slots: config.worker.slots.get(),
        limited: config.runs.at_once > 0,
        leaves_children: !in_container(),
    });
    let flow_meters = Arc::new(FlowMeters::new(&catalogue, &registry));
    engine.count_in(flow_meters.clone());
    let flows = Arc::new(Flows::new(engine.clone(), store, Arc::new(catalogue), registry));
    let labs = Arc::new(Labs::new(flows.clone(), labs, sessions, evidence, step_checks, timelines));

    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let passwords = Arc::new(identity::passwords(cores)?);
    let tokens = Arc::new(LateTokens::default());
    let identity = Arc::new(identity::assemble(&config, &stores, passwords.clone(), tokens.clone()));
    let readiness = Arc::new(Readiness::default());
    let (handlers, event_meters) = metrics::counted(openid.handlers(users.clone(), flows.clone()));
    let plants = ingest::plants(&stores, openid.cache.clone());
    let parts = Parts { objects: ingest.objects.clone(), terraform, redis, vault: kept.vault.clone() };
    let probes = probes::all(&config, &stores, &openid, parts, cluster.proxmox);
    let streams = Streams::new(stream_settings(&config));
    let metrics = Arc::new(Metrics::new(vec![
        flow_meters,
        event_meters,
        cache,
        programs.clone(),
        Arc::new(metrics::OwnMeters { engine: engine.clone(), streams: streams.clone() }),
        Arc::new(PgMeters { pool: stores.pool.clone(), batches: flow_store.batches.clone() }),
        Arc::new(ProcessMeters),
    ]));
    let services = Services {
        metrics: metrics.clone(),
        identity: identity.clone(),
        openid: openid.door.clone(),
        access_tokens: openid.access_tokens.clone(),
        plants: plants.clone(),
        https: config.oidc.redirect_url.starts_with("https://"),
        users,
        flows: flows.clone(),
        rooms: rooms.clone(),
        streams,
        labs: labs.clone(),
        orphans: cluster.orphans.clone(),
        checkup: Arc::new(Checkup::new(probes)),
        readiness: readiness.clone(),
    };
    let settings = HttpSettings {
        address: config.server.address,
        port: config.server.port,
        workers,
        keep_alive_s: 5,
        grace_s: 2,
        mercy_s: 2,
        edge: identity::edge(&config),
    };
    let rocket = server::build(&settings, services);
    Ok((
        Service {
            config,
            stores,
            flow_store,
            engine,
            rooms,
            plants,
            ingest,
            flows,
            labs,
            tokens,
            identity,
            passwords,
            programs,
            metrics,
            readiness,
            vault: kept.vault,
            orphans: cluster.orphans,
            lines: openid.lines,
            handlers,
            consumers: CancellationToken::new(),
            bound: Arc::default(),
        },
        rocket,
    ))
}

fn stream_settings(config: &Config) -> StreamSettings {
    StreamSettings {
        per_caller: config.streams.per_caller.get(),
        in_all: config.streams.in_all.get(),
        stall: Duration::from_secs(config.streams.stall_s.get().into()),
    }
}

/// Whether everything dies with this service's first process: then children are told to end, and are not left.
fn in_container() -> bool {
    let marked = ["/run/.containerenv", "/.dockerenv"].iter().any(|file| Path::new(file).exists());
    marked || std::process::id() == 1 || std::env::var_os("container").is_some()
}
