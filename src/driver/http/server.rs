//! Rocket, built from our settings alone.

use std::net::IpAddr;
use std::sync::Arc;

use flow_domain::flows::Flows;
use flow_domain::labs::Labs;
use flow_domain::labs::machines::Orphans;
use flow_domain::openid::{AccessTokens, OpenIdDoor};
use flow_domain::power_plants::PlantDesk;
use flow_domain::rooms::Rooms;
use flow_domain::users::{Identity, Users};
use rocket::config::{Config, Ident, LogLevel, Shutdown};
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::figment::Profile;
use rocket::http::Method;
use rocket::shield::Shield;
use rocket::{Build, Phase, Rocket, State, get, routes};
use serde_json::Value;

use super::health::{Checkup, Readiness};
use super::metrics::Metrics;
use super::request_meters::RequestMeters;
use super::requests::Requests;
use super::streams::Streams;
use super::{
    Answer, Edge, Handled, Operation, Resource, auth, catchers, docs, flow_manager, health, labs, login, me,
    metrics, openapi, openid, orphans, patience, pauses, power_plants, rooms, runs, sessions, site, stay,
    user_create, users,
};

/// What handlers may call.
pub struct Services {
    pub identity: Arc<Identity>,
    pub users: Arc<dyn Users>,
    pub flows: Arc<Flows>,
    pub rooms: Arc<Rooms>,
    pub streams: Arc<Streams>,
    pub labs: Arc<Labs>,
    pub orphans: Arc<Orphans>,
    pub checkup: Arc<Checkup>,
    pub readiness: Arc<Readiness>,
    pub metrics: Arc<Metrics>,
    pub openid: Arc<OpenIdDoor>,
    pub access_tokens: Arc<AccessTokens>,
    pub plants: Arc<PlantDesk>,
    /// Browsers reach this service by https: cookies are marked Secure.
    pub https: bool,
}

#[derive(Clone, Debug)]
pub struct HttpSettings {
    pub address: IpAddr,
    /// 0 takes a free one.
    pub port: u16,
    /// Threads of the runtime.
    pub workers: usize,
    /// An idle connection is kept this long, in seconds; 0 keeps none.
    pub keep_alive_s: u32,
    /// After a shutdown was asked for, answers in the making have this long, in seconds.
    pub grace_s: u32,
    /// And connections this long after that, in seconds.
    pub mercy_s: u32,
    pub edge: Edge,
}

/// Every resource of the service.
fn resources() -> Vec<Resource> {
    vec![
        health::resource(),
        login::resource(),
        auth::resource(),
        me::resource(),
        users::resource(),
        flow_manager::resource(),
        pauses::resource(),
        runs::resource(),
        rooms::resource(),
        labs::resource(),
        sessions::resource(),
        stay::resource(),
        orphans::resource(),
        openid::resource(),
        user_create::resource(),
        power_plants::resource(),
        metrics::resource(),
        site::resource(),
        docs::resource(),
    ]
}

/// The service, ready to launch. The logger must be set before: Rocket brings its own where there is none.
///
/// Neither `Rocket.toml` nor `ROCKET_*` nor a signal has any say here; who launches it also stops it, by its
/// `Shutdown`.
pub fn build(settings: &HttpSettings, services: Services) -> Rocket<Build> {
    // Whoever is cut off as too slow has once more that long to hear it.
    let patience = services.streams.stall() * 2;
    let mut rocket = rocket::custom(config(settings))
        // In place of Rocket's own: our headers are set by `Requests`.
        .attach(Shield::new())
        .attach(Requests)
        .attach(AdHoc::on_liftoff("patience", move |rocket| {
            if let Err(error) = patience::limit(rocket.config().port, patience) {
                log::info!(
                    "connections whose peer reads nothing stay open, a proxy must close them: {error}"
                );
            }
            Box::pin(async {})
        }))
        .manage(services.metrics.clone())
        .manage(services.readiness.clone())
        .manage(services)
        .manage(settings.edge.clone())
        .register("/", catchers::all());
    let mut operations =
        vec![Operation::new(Method::Get, "/openapi.json", "This page").answers::<Value>(200, "OpenAPI 3.1")];
    for resource in resources() {
        rocket = rocket.mount("/", resource.routes);
        operations.extend(resource.operations);
    }
    let page = Page(openapi::document(&operations));
    let rocket = rocket.mount("/", routes![page]).manage(page).manage(Operations(operations));
    let meters = RequestMeters::of(rocket.routes());
    rocket.manage(Arc::new(meters))
}

/// What a process without the HTTP interface shows to those who watch it: whether it lives and is ready, and what it
/// counts.
pub fn build_watched(
    settings: &HttpSettings,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
) -> Rocket<Build> {
    let rocket = rocket::custom(config(settings))
        .attach(Shield::new())
        .attach(Requests)
        .manage(metrics)
        .manage(readiness)
        .manage(settings.edge.clone())
        .register("/", catchers::all())
        .mount("/", health::bare_routes())
        .mount("/", metrics::resource().routes);
    let meters = RequestMeters::of(rocket.routes());
    rocket.manage(Arc::new(meters))
}

/// Serves until its `Shutdown` is notified. The error names what kept it from listening.
pub async fn launch<P: Phase>(rocket: Rocket<P>) -> Result<(), String> {
    let Err(error) = rocket.launch().await else {
        return Ok(());
    };
    // Looking at the kind is what keeps Rocket's error from panicking when it is dropped.
    match error.kind() {
        ErrorKind::Bind(error) => Err(format!("the server's address cannot be used: {error}")),
        ErrorKind::Io(error) => Err(format!("the server failed: {error}")),
        // A connection outlived grace and mercy, and was cut.
        ErrorKind::Shutdown(..) => Ok(()),
        other => Err(format!("the server cannot start: {other}")),
    }
}

/// The runtime to launch in. Rocket's own, `rocket::execute`, would take its size from `ROCKET_*` and Rocket.toml.
pub fn runtime(workers: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.max(1))
        .thread_name("rocket-worker")
        .enable_all()
        .build()
}

fn config(settings: &HttpSettings) -> Config {
    Config {
        profile: Profile::const_new("service"),
        address: settings.address,
        port: settings.port,
        workers: settings.workers.max(1),
        keep_alive: settings.keep_alive_s,
        ident: Ident::none(),
        ip_header: None,
        log_level: LogLevel::Off,
        cli_colors: false,
        shutdown: Shutdown {
            ctrlc: false,
            signals: Default::default(),
            grace: settings.grace_s,
            mercy: settings.mercy_s,
            force: false,
            ..Shutdown::default()
        },
        ..Config::release_default()
    }
}

struct Page(Value);

/// Kept for the tests that hold routes, guards and page against each other.
pub(super) struct Operations(#[cfg_attr(not(test), expect(dead_code))] pub(super) Vec<Operation>);

#[get("/openapi.json")]
fn page(page: &State<Page>) -> Handled {
    Answer::ok(&page.0)
}
