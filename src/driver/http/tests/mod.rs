//! The driver through Rocket's local client, over accounts in memory.

mod auth;
mod fakes;
mod log;
mod pages;
mod refusals;
mod routes;
mod sign_in;
mod socket;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::engine::Setup;
use flow_domain::flows::store::Worker;
use flow_domain::flows::{Engine, Flows, Registry};
use flow_domain::health::{Condition, Probe};
use flow_domain::openid::{AccessTokens, OpenIdDoor};
use flow_domain::testing::{MemoryOutbox, Refusing, TestContext, Unsealed};
use flow_domain::users::{
    Account, Identity, Offered, Parts as IdentityParts, Passwords, Role, Stamp, Times, Tokens, Unlimited,
    User, Users,
};
use flow_domain::{UserId, WorkerId};
use rocket::http::{ContentType, Header, Status};
use rocket::local::asynchronous::{Client, LocalRequest, LocalResponse};
use rocket::{Build, Rocket};
use serde_json::Value;

use super::health::{Checkup, Readiness};
use super::{Edge, HttpSettings, Services, StreamSettings, Streams, server};
use crate::driven::credentials::{BcryptPasswords, JwtTokens, SigningKey};
use crate::driven::identity::NoProvider;
use crate::driven::memory::{
    MemoryFlowStore, MemoryIdentities, MemoryLogins, MemoryRevocations, MemorySignInJournal, MemoryUsers,
};
use crate::driven::secrets_file::SecretsFile;

pub(super) const SECRET: &str = "a signing key of at least thirty-two bytes";
pub(super) const EMAIL: &str = "ann@example.org";
pub(super) const PASSWORD: &str = "aFtg&89M";

/// A part that is as it was told to be.
#[derive(Clone)]
struct Part(Arc<Mutex<Condition>>);

#[async_trait]
impl Probe for Part {
    fn component(&self) -> &'static str {
        "database"
    }
    async fn check(&self) -> Condition {
        self.0.lock().unwrap().clone()
    }
}

/// What the driver stands on.
pub(super) struct Parts {
    pub tokens: Arc<JwtTokens>,
    pub user: User,
    readiness: Arc<Readiness>,
    users: Arc<MemoryUsers>,
    part: Part,
}

impl Parts {
    /// The driver over one account, with a few routes that show what the guards do.
    pub async fn make(settings: HttpSettings) -> (Rocket<Build>, Self) {
        log::catch_everything();
        let user = User {
            id: UserId::new(),
            email: Some(EMAIL.into()),
            username: None,
            name: Some("Ann".into()),
            role: Role::Operator,
        };
        let users = Arc::new(MemoryUsers::default());
        let passwords = Arc::new(BcryptPasswords::new(4, 2, Duration::from_secs(60)).unwrap());
        let hash = passwords.hash(&Offered::new(PASSWORD).unwrap()).await.unwrap();
        users.put(Account::new(user.clone()).with_password(hash));
        let tokens = Arc::new(tokens("flow-manager"));
        let readiness = Arc::new(Readiness::default());
        let flows = flows();
        let part = Part(Arc::new(Mutex::new(Condition::healthy())));
        let services = Services {
            identity: Arc::new(identity(users.clone(), passwords, tokens.clone())),
            users: users.clone(),
            rooms: fakes::rooms(),
            streams: Streams::new(StreamSettings {
                per_caller: 2,
                in_all: 3,
                stall: Duration::from_secs(60),
            }),
            labs: fakes::labs(flows.clone()),
            orphans: fakes::orphans(),
            flows,
            checkup: Arc::new(Checkup::new(vec![Arc::new(part.clone())])),
            readiness: readiness.clone(),
            openid: openid(users.clone()),
            access_tokens: Arc::new(AccessTokens {
                verifier: Arc::new(NoProvider),
                sealer: Arc::new(Unsealed),
            }),
            plants: Refusing::plants(),
            https: false,
            metrics: Arc::default(),
        };
        let rocket = server::build(&settings, services).mount("/t", routes::all());
        (rocket, Self { tokens, user, readiness, users, part })
    }
}

/// The driver behind Rocket's local client.
pub(super) struct Service {
    pub client: Client,
    pub tokens: Arc<JwtTokens>,
    pub readiness: Arc<Readiness>,
    pub user: User,
    users: Arc<MemoryUsers>,
    part: Part,
}

impl Service {
    pub async fn start() -> Self {
        let (rocket, parts) = Parts::make(settings()).await;
        let Parts { tokens, readiness, user, users, part } = parts;
        Self { client: Client::untracked(rocket).await.unwrap(), tokens, readiness, user, users, part }
    }

    /// A token for someone of this role.
    pub fn token(&self, role: Role) -> String {
        let user = User { id: UserId::new(), role, ..self.user.clone() };
        self.tokens.issue(&user, Stamp::default(), Duration::from_secs(60)).unwrap().token
    }

    pub fn own_token(&self) -> String {
        self.tokens.issue(&self.user, Stamp::default(), Duration::from_secs(60)).unwrap().token
    }

    pub async fn disable(&self) {
        self.users.set_disabled(self.user.id, true).await.unwrap();
    }

    pub fn set_part(&self, condition: Condition) {
        *self.part.0.lock().unwrap() = condition;
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Seen {
        seen(with(self.client.get(path.to_owned()), token).dispatch().await).await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: impl AsRef<[u8]>) -> Seen {
        let request = self.client.post(path.to_owned()).header(ContentType::JSON).body(body);
        seen(with(request, token).dispatch().await).await
    }
}

fn identity(users: Arc<MemoryUsers>, passwords: Arc<BcryptPasswords>, tokens: Arc<JwtTokens>) -> Identity {
    let parts = IdentityParts {
        users,
        passwords,
        tokens,
        logins: Arc::new(MemoryLogins::default()),
        revocations: Arc::new(MemoryRevocations::default()),
        attempts: Arc::new(Unlimited),
    };
    let seconds = Duration::from_secs;
    Identity::new(parts, Times { token: seconds(3600), access: seconds(900), refresh: seconds(86_400) }, true)
}

/// Without a provider.
fn openid(users: Arc<dyn Users>) -> Arc<OpenIdDoor> {
    let outbox = Arc::new(MemoryOutbox::default());
    Arc::new(OpenIdDoor {
        provider: Arc::new(NoProvider),
        identities: Arc::new(MemoryIdentities::new(users, outbox)),
        journal: Arc::new(MemorySignInJournal::default()),
        sealer: Arc::new(Unsealed),
    })
}

/// No flow and no task, over a store in memory.
fn flows() -> Arc<Flows> {
    let registry = Arc::new(Registry::default());
    let store = Arc::new(MemoryFlowStore::default());
    let worker = Worker {
        id: WorkerId::new(),
        host: "here".into(),
        host_id: "here".into(),
        labels: vec![],
        tasks: vec![],
    };
    let ports = Arc::new(TestContext::new().ports);
    let setup = Setup {
        store: store.clone(),
        registry: registry.clone(),
        ports,
        secrets: Arc::new(SecretsFile(None)),
        worker,
        works: true,
        slots: 8,
        limited: false,
        leaves_children: false,
    };
    Arc::new(Flows::new(Engine::new(setup), store, Arc::default(), registry))
}

/// An answer, read to its end.
pub(super) struct Seen {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Seen {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(&name.to_lowercase()).map_or("", String::as_str)
    }

    /// The pointers of all faults.
    pub fn pointers(&self) -> Vec<&str> {
        self.body["errors"].as_array().unwrap().iter().filter_map(|fault| fault["pointer"].as_str()).collect()
    }

    /// A problem of this status and code, with all that every problem has.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        assert_eq!(self.body["type"], "about:blank");
        assert_eq!(self.body["title"], Status::new(status).reason_lossy());
        assert!(!self.header("x-request-id").is_empty());
        assert!(self.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert!(self.body["errors"].is_array());
        assert_eq!(!self.header("www-authenticate").is_empty(), status == 401);
        assert_eq!(!self.header("retry-after").is_empty(), matches!(status, 429 | 503));
        assert_eq!(!self.header("allow").is_empty(), status == 405);
    }
}

pub(super) async fn seen(response: LocalResponse<'_>) -> Seen {
    Seen {
        status: response.status().code,
        headers: response
            .headers()
            .iter()
            .map(|header| (header.name().as_str().to_lowercase(), header.value().to_owned()))
            .collect(),
        body: serde_json::from_slice(&response.into_bytes().await.unwrap_or_default()).unwrap_or(Value::Null),
    }
}

pub(super) fn with<'c>(request: LocalRequest<'c>, token: Option<&str>) -> LocalRequest<'c> {
    match token {
        Some(token) => request.header(Header::new("Authorization", format!("Bearer {token}"))),
        None => request,
    }
}

pub(super) fn tokens(audience: &str) -> JwtTokens {
    JwtTokens::new(&SigningKey::from_text(SECRET).unwrap(), "flow-manager", audience)
}

pub(super) fn settings() -> HttpSettings {
    HttpSettings {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        workers: 2,
        keep_alive_s: 5,
        grace_s: 1,
        mercy_s: 1,
        edge: Edge::default(),
    }
}
