//! Settings: the embedded `config/default.toml`, a file, the environment; checked as a whole before anything starts.

mod metrics;
mod oidc;
mod overlay;
mod proxmox;
mod schema;
mod secret;
mod sections;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::Path;

use flow_domain::flows::Alias;
use serde::Deserialize;
use toml::{Table, Value};

pub use metrics::Metrics;
pub use oidc::{Oidc, TokenCheck};
use overlay::Override;
pub use proxmox::Proxmox;
use schema::Schema;
pub use secret::{Secret, StateKey};
pub use sections::*;

/// Every setting, its value checked. `config/default.toml` says what each means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub demo: bool,
    pub server: Server,
    pub streams: Streams,
    pub state: State,
    pub config: ConfigDir,
    pub database: Database,
    pub runs: Runs,
    pub queue: Queue,
    pub cache: Cache,
    pub objects: Objects,
    pub secrets: Secrets,
    pub auth: Auth,
    pub oidc: Oidc,
    pub proxmox: Proxmox,
    pub rooms: Rooms,
    pub terraform: Terraform,
    pub grade: Grade,
    pub http: Http,
    pub exec: Exec,
    pub worker: Worker,
    pub metrics: Metrics,
    pub log: Log,
    pub aliases: BTreeMap<String, Alias>,
    #[serde(skip)]
    masked: Vec<Setting>,
}

/// A setting as it may be shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    /// TOML, secrets masked.
    pub value: String,
    /// `default`, the variable's name, or the key in the file's name.
    pub origin: String,
}

impl Config {
    /// Reads and checks everything there is to read; the error lists every fault, a sentence each, none of which
    /// repeats a secret.
    pub fn load<K: Into<OsString>, V: Into<OsString>>(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Vec<String>> {
        let schema = Schema::shipped();
        let mut faults = Vec::new();
        let mut overrides =
            file.map(|file| overlay::from_file(&schema, file, &mut faults)).unwrap_or_default();
        let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
        overrides.extend(overlay::from_environment(&schema, environment, &mut faults));

        faults.extend(overrides.iter().filter_map(|one| fault_of(&schema, one)));
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut settings = schema.defaults.clone();
        for one in &overrides {
            one.key.set(&mut settings, one.value.clone());
        }
        let mut config = read(settings.clone()).map_err(|fault| vec![fault])?;
        config.masked = masked(&schema, &settings, &overrides);
        match config.contradictions() {
            faults if faults.is_empty() => Ok(config),
            faults => Err(faults),
        }
    }

    /// Every setting with its value and origin, secrets masked, in alphabetical order.
    pub fn masked(&self) -> &[Setting] {
        &self.masked
    }

    /// Keys that only make sense together.
    fn contradictions(&self) -> Vec<String> {
        // A file of secrets needs neither.
        let vault = self.secrets.url.as_deref().is_some_and(|url| !url.starts_with("file://"));
        let pairs = [
            ("secrets.url", vault, "secrets.role_id", self.secrets.role_id.is_some()),
            ("secrets.url", vault, "secrets.secret_id", self.secrets.secret_id.is_some()),
            ("oidc.issuer", self.oidc.issuer.is_some(), "oidc.client_id", self.oidc.client_id.is_some()),
            (
                "oidc.issuer",
                self.oidc.issuer.is_some() && self.database.url.is_some(),
                "state.key",
                self.state.key.is_some(),
            ),
            ("proxmox.url", self.proxmox.url.is_some(), "proxmox.token", self.proxmox.token.is_some()),
            (
                "objects.access_key",
                self.objects.access_key.is_some(),
                "objects.secret_key",
                self.objects.secret_key.is_some(),
            ),
        ];
        let mut faults: Vec<String> = pairs
            .into_iter()
            .filter(|(_, set, _, needed)| *set && !needed)
            .map(|(key, _, needed, _)| format!("{key} is set, but {needed}, which it needs, is not."))
            .collect();
        let auth = &self.auth;
        for (one, other, both) in [
            ("auth.secret", "auth.key", auth.secret.is_some() && auth.key.is_some()),
            (
                "auth.second_secret",
                "auth.second_key",
                auth.second_secret.is_some() && auth.second_key.is_some(),
            ),
        ] {
            if both {
                faults.push(format!("{one} and {other} are both set; leave one."));
            }
        }
        faults
    }
}

/// What is wrong with one override alone, on top of the defaults: so each fault gets its own line and its origin.
fn fault_of(schema: &Schema, one: &Override) -> Option<String> {
    let mut settings = schema.defaults.clone();
    one.key.set(&mut settings, one.value.clone());
    let fault = read(settings).err()?;
    Some(format!("{}: {fault}.", one.origin))
}

fn read(settings: Table) -> Result<Config, String> {
    settings.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

fn masked(schema: &Schema, settings: &Table, overrides: &[Override]) -> Vec<Setting> {
    // The last to set a key is the one whose value stands.
    let origins: HashMap<&str, &str> =
        overrides.iter().map(|one| (one.key.name.as_str(), one.origin.as_str())).collect();
    let shown = |key: &schema::Key| match key.get(settings) {
        Value::String(text) if key.secret => Value::String(secret::mask(text)).to_string(),
        // What operators give a task as input may hold anything: the names are enough.
        Value::Table(aliases) if key.name == "aliases" => {
            Value::Array(aliases.keys().cloned().map(Value::String).collect()).to_string()
        }
        value => value.to_string(),
    };
    schema
        .keys
        .iter()
        .map(|key| Setting {
            name: key.name.clone(),
            value: shown(key),
            origin: origins.get(key.name.as_str()).copied().unwrap_or("default").to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
