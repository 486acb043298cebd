//! From the first log line to the last: migrate, be ready, drain, stop.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flow_domain::flows::schedule::Clockwork;
use flow_domain::flows::{Engine, Flows};
use flow_domain::ingest::Ingest;
use flow_domain::labs::Labs;
use flow_domain::labs::machines::Orphans;
use flow_domain::power_plants::PlantDesk;
use flow_domain::queue::Handler;
use flow_domain::rooms::Rooms;
use flow_domain::users::{Identity, Offered, Passwords, follow};
use rocket::fairing::AdHoc;
use rocket::{Build, Rocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::demo;
use super::keep_up::keep_up;
use super::late_tokens::LateTokens;
use super::signing::Signing;
use super::stores::Stores;
use super::upkeep::Upkeep;
use crate::config::Config;
use crate::driven::postgres::{PgFlowStore, PgSchedules, PgUsers, migrate, users};
use crate::driven::process::ChildPrograms;
use crate::driven::start_error::StartError;
use crate::driven::vault::Vault;
use crate::driver::cli::banner;
use crate::driver::events::{self, Lines};
use crate::driver::http::health::Readiness;
use crate::driver::http::metrics::Metrics;
use crate::driver::http::server;
use crate::driver::{schedule, session_time, sweep};

/// Between attempts to reach a database that is away at the start; each second one is logged.
const CONNECT_EVERY: Duration = Duration::from_millis(500);
const DEMO_PASSWORD: &str = "aFtg&89M";

/// What asks the service to stop.
pub(super) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

#[derive(PartialEq, Eq)]
pub(super) enum Stop {
    /// Ctrl-C: somebody waits for it.
    Interrupt,
    /// An orchestrator's, who may wait until a load balancer has heard.
    Terminate,
}

impl StopSignals {
    pub(super) fn listen() -> Result<Self, StartError> {
        let unheard = |error| StartError::new("Signals cannot be heard.").because(error);
        let interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        let terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        Ok(Self { interrupt, terminate })
    }

    pub(super) async fn recv(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}

pub(super) struct Service {
    pub config: Config,
    pub stores: Stores,
    pub flow_store: Arc<PgFlowStore>,
    pub engine: Arc<Engine>,
    pub rooms: Arc<Rooms>,
    pub plants: Arc<PlantDesk>,
    pub ingest: Arc<Ingest>,
    pub flows: Arc<Flows>,
    pub labs: Arc<Labs>,
    pub tokens: Arc<LateTokens>,
    pub identity: Arc<Identity>,
    pub passwords: Arc<dyn Passwords>,
    pub programs: Arc<ChildPrograms>,
    pub metrics: Arc<Metrics>,
    pub readiness: Arc<Readiness>,
    /// Its token is kept alive, and revoked.
    pub vault: Option<Arc<Vault>>,
    pub orphans: Arc<Orphans>,
    pub lines: Lines,
    pub handlers: Vec<Arc<dyn Handler>>,
    /// Ends them.
    pub consumers: CancellationToken,
    /// The port listened on, once it is.
    pub bound: Arc<OnceLock<u16>>,
}

impl Service {
    /// Serves until a signal says stop. Listens first, so that the port, the health and the signals live while the
    /// database is away.
    pub(super) async fn run(self, rocket: Rocket<Build>, mut stop: StopSignals) -> Result<(), StartError> {
        let refused =
            |error: rocket::Error| StartError::new(format!("The server cannot start: {}.", error.kind()));
        // Port 0 is a free one, known once it is bound.
        let bound = self.bound.clone();
        let rocket = rocket.attach(AdHoc::on_liftoff("bound", move |rocket| {
            let _ = bound.set(rocket.config().port);
            Box::pin(async {})
        }));
        let rocket = rocket.ignite().await.map_err(refused)?;
        let shutdown = rocket.shutdown();
        let mut server = tokio::spawn(server::launch(rocket));

        let mut over = None;
        let work = tokio::select! {
            started = self.start() => Some(started.map_err(StartError::new)?),
            ended = &mut server => return outcome(ended),
            _ = stop.recv() => None,
        };
        if let Some(work) = work {
            tokio::select! {
                ended = &mut server => over = Some(ended),
                asked = stop.recv() => {
                    if asked == Stop::Terminate {
                        self.drain().await;
                    }
                }
            }
            self.readiness.set_draining();
            self.end(work).await;
        }
        shutdown.notify();
        let ended = match over {
            Some(ended) => ended,
            None => server.await,
        };
        self.rooms.retire().await;
        log::info!("stopped");
        self.stores.close().await?;
        outcome(ended)
    }

    /// From here on callers who wait are answered with their run's address, and running steps are told.
    pub(super) async fn end(&self, work: JoinHandle<()>) {
        log::info!("stopping");
        self.engine.stop();
        self.consumers.cancel();
        if work.await.is_err() {
            log::error!("the engine ended by a panic");
        }
        if let Some(vault) = &self.vault {
            vault.end().await;
        }
    }

    /// A load balancer sees that the service is about to stop, before it stops.
    async fn drain(&self) {
        self.readiness.set_draining();
        log::info!("draining for {} s", self.config.server.drain_s);
        tokio::time::sleep(Duration::from_secs(self.config.server.drain_s.into())).await;
    }

    /// Everything that needs the database.
    async fn start(&self) -> Result<JoinHandle<()>, String> {
        if let Some(embedded) = &self.stores.database.embedded {
            tokio::spawn(keep_up(embedded.keeper()));
        }
        self.migrate().await?;
        self.open_doors().await?;
        self.seed().await?;
        // A database elsewhere, and files elsewhere, are somebody's own.
        if self.config.demo && self.stores.database.embedded.is_some() && self.config.objects.url.is_none() {
            let filled = demo::fill(&self.config.config.dir, self.stores.state.path(), &self.ingest).await;
            if let Err(error) = filled {
                log::warn!("the demo has no power plants: {error}");
            }
        }
        tokio::spawn(self.rooms.clone().work());
        tokio::spawn(self.plants.clone().follow());
        tokio::spawn(follow(self.identity.revocations.clone()));
        let work = self.set_to_work().await?;
        self.readiness.set_ready();
        self.greet();
        Ok(work)
    }

    /// The engine, the consumers of events, schedules and upkeep; returns when it holds its lease.
    pub(super) async fn set_to_work(&self) -> Result<JoinHandle<()>, String> {
        let most = Some(self.config.runs.at_once).filter(|most| *most > 0).map(u32::from);
        self.flows.set_limits(most).await.map_err(|error| error.to_string())?;
        let schedules = Arc::new(PgSchedules::new(self.stores.pool.clone()));
        tokio::spawn(schedule::run(Clockwork::new(self.flows.clone(), schedules)));
        tokio::spawn(session_time::keep(self.labs.clone()));
        let every = Duration::from_secs(self.config.proxmox.sweep_s.get().into());
        tokio::spawn(sweep::run(self.orphans.clone(), every));
        if let Some(vault) = &self.vault {
            tokio::spawn(vault.clone().keep());
        }
        let upkeep = Upkeep {
            flow_store: self.flow_store.clone(),
            programs: self.programs.clone(),
            users: PgUsers::new(self.stores.pool.clone()),
            identity: self.identity.clone(),
            retention_days: self.config.runs.retention_days.into(),
            pool: self.stores.pool.clone(),
        };
        tokio::spawn(upkeep.daily());
        let (engine, lines, handlers) = (self.engine.clone(), self.lines.clone(), self.handlers.clone());
        let stop = self.consumers.clone();
        let work = tokio::spawn(async move {
            tokio::join!(engine.work(), events::run(lines, handlers, stop));
        });
        self.engine.lease().held().await;
        Ok(work)
    }

    /// Tokens are made and taken from here on: which were revoked is known before the first is looked at.
    async fn open_doors(&self) -> Result<(), String> {
        self.identity.revocations.catch_up().await.map_err(|error| error.to_string())?;
        let signing = Signing::open(&self.config, self.stores.pool.clone(), &self.tokens).await?;
        tokio::spawn(signing.follow(self.tokens.clone()));
        Ok(())
    }

    pub(super) async fn migrate(&self) -> Result<(), String> {
        let mut attempt = 0_u32;
        loop {
            match migrate::migrate(&self.stores.database.config).await {
                Ok(applied) => {
                    if !applied.is_empty() {
                        log::info!("migrations applied: {}", applied.join(", "));
                    }
                    return Ok(());
                }
                Err(error) if error.kind == flow_domain::Kind::Unavailable => {
                    if attempt.is_multiple_of(2) {
                        log::warn!("waiting for the database: {}", error.cause.unwrap_or(error.public));
                    }
                    attempt += 1;
                    tokio::time::sleep(CONNECT_EVERY).await;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// The demo user is there in demo mode only; left over from an earlier one, it is a known password.
    async fn seed(&self) -> Result<(), String> {
        let text = |error: flow_domain::Error| error.to_string();
        let accounts = &self.identity.accounts;
        let there = users::demo_user(&self.stores.pool).await.map_err(text)?;
        match (self.config.demo, there.map(|account| account.disabled)) {
            (true, None) => {
                let password = Offered::chosen(DEMO_PASSWORD).map_err(|fault| fault.detail)?;
                let hash = self.passwords.hash(&password).await.map_err(text)?;
                users::seed_demo(&self.stores.pool, &hash).await.map(drop).map_err(text)
            }
            (true, Some(true)) => accounts.enable(None, users::DEMO_USER).await.map(drop).map_err(text),
            (false, Some(false)) => {
                log::warn!("the demo user has a well-known password and this is no demo: it is disabled");
                accounts.disable(None, users::DEMO_USER).await.map(drop).map_err(text)
            }
            _ => Ok(()),
        }
    }

    fn greet(&self) {
        let address = SocketAddr::new(
            self.config.server.address,
            *self.bound.get().unwrap_or(&self.config.server.port),
        );
        log::info!("ready on {address}");
        println!("{}", banner(address, self.config.demo.then_some((users::DEMO_EMAIL, DEMO_PASSWORD))));
    }
}

/// How the server ended, as a sentence.
fn outcome(ended: Result<Result<(), String>, tokio::task::JoinError>) -> Result<(), StartError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(sentence)) => Err(StartError::new(sentence)),
        Err(error) => Err(StartError::new("The server was cut short.").because(error)),
    }
}
