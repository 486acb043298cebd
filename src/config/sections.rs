//! One struct per section of `config/default.toml`, which says what each key means.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ipnet::IpNet;
use log::LevelFilter;
use serde::{Deserialize, Deserializer, de};

use super::secret::{Secret, StateKey};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub address: IpAddr,
    pub port: u16,
    /// 0 is one per core.
    pub workers: u16,
    pub drain_s: u32,
    #[serde(deserialize_with = "public_url")]
    pub public_url: Option<String>,
    pub trusted_proxies: Vec<Network>,
    pub cors_origins: Vec<String>,
}

/// An address, `10.0.0.7`, or a network, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(pub IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let one = text.parse::<IpAddr>().map(IpNet::from);
        let network = one.or_else(|_| text.parse::<IpNet>());
        network
            .map(Self)
            .map_err(|_| format!("{text:?} is neither an IP address nor a network such as 10.0.0.0/8"))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    pub per_caller: NonZeroUsize,
    pub in_all: NonZeroUsize,
    pub stall_s: NonZeroU32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    #[serde(deserialize_with = "path")]
    pub dir: Option<PathBuf>,
    #[serde(deserialize_with = "state_key")]
    pub key: Option<StateKey>,
    #[serde(deserialize_with = "state_key")]
    pub old_key: Option<StateKey>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigDir {
    pub dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    #[serde(deserialize_with = "secret")]
    pub url: Option<Secret>,
    #[serde(deserialize_with = "path")]
    pub ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "path")]
    pub bin_dir: Option<PathBuf>,
    pub pool_size: NonZeroUsize,
    pub pool_wait_ms: NonZeroU64,
    pub statement_timeout_ms: NonZeroU32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// 0 keeps all.
    pub retention_days: u16,
    /// 0 is no limit.
    pub at_once: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    #[serde(deserialize_with = "secret")]
    pub url: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    #[serde(deserialize_with = "secret")]
    pub url: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    #[serde(deserialize_with = "text")]
    pub url: Option<String>,
    #[serde(deserialize_with = "text")]
    pub endpoint: Option<String>,
    pub region: String,
    #[serde(deserialize_with = "secret")]
    pub access_key: Option<Secret>,
    #[serde(deserialize_with = "secret")]
    pub secret_key: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    #[serde(deserialize_with = "text")]
    pub url: Option<String>,
    #[serde(deserialize_with = "text")]
    pub role_id: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub secret_id: Option<Secret>,
    pub mount: String,
    #[serde(deserialize_with = "text")]
    pub namespace: Option<String>,
    #[serde(deserialize_with = "path")]
    pub ca_file: Option<PathBuf>,
    pub wait_s: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(deserialize_with = "signing_secret")]
    pub secret: Option<Secret>,
    #[serde(deserialize_with = "secret")]
    pub key: Option<Secret>,
    #[serde(deserialize_with = "signing_secret")]
    pub second_secret: Option<Secret>,
    #[serde(deserialize_with = "secret")]
    pub second_key: Option<Secret>,
    pub token_ttl_s: NonZeroU32,
    pub access_ttl_s: NonZeroU32,
    pub refresh_ttl_s: NonZeroU32,
    pub issuer: String,
    pub audience: String,
    pub open_signup: bool,
    pub failures_per_account: u32,
    pub failures_per_address: u32,
    pub openings_per_address: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rooms {
    pub history_messages: NonZeroU32,
    pub history_days: NonZeroU32,
    pub posts_per_minute: NonZeroU32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terraform {
    #[serde(deserialize_with = "path")]
    pub bin: Option<PathBuf>,
    pub at_once: NonZeroUsize,
    #[serde(deserialize_with = "path")]
    pub places_dir: Option<PathBuf>,
    pub init_timeout_s: NonZeroU32,
    pub plan_timeout_s: NonZeroU32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grade {
    #[serde(deserialize_with = "ids")]
    pub uids: Option<RangeInclusive<u32>>,
    #[serde(deserialize_with = "path")]
    pub dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub allow: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    #[serde(deserialize_with = "absolute_paths")]
    pub allow: BTreeMap<String, PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    pub enabled: bool,
    pub labels: Vec<String>,
    pub slots: NonZeroUsize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    #[serde(deserialize_with = "level")]
    pub level: LevelFilter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Empty means "not set" throughout: TOML has no null, and orchestrators like to set variables to nothing.
pub(super) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(input)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

pub(super) fn path<'de, D: Deserializer<'de>>(input: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(text(input)?.map(PathBuf::from))
}

/// `FIRST-LAST`. 0 is root, and the last number of all means "no user" to the system.
pub(super) fn ids<'de, D: Deserializer<'de>>(input: D) -> Result<Option<RangeInclusive<u32>>, D::Error> {
    let Some(text) = text(input)? else { return Ok(None) };
    let range = text
        .split_once('-')
        .and_then(|(first, last)| Some(first.trim().parse().ok()?..=last.trim().parse().ok()?));
    let usable = range.filter(|range| *range.start() > 0 && *range.end() < u32::MAX && !range.is_empty());
    let wrong = || de::Error::custom(format!("{text:?} is not FIRST-LAST, two numbers of users above 0"));
    usable.ok_or_else(wrong).map(Some)
}

pub(super) fn secret<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Secret>, D::Error> {
    Ok(text(input)?.map(Secret::new))
}

/// Without the slash at its end, so that paths can be put after it.
fn public_url<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    match text(input)? {
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            Err(de::Error::custom("is not an address that begins with http:// or https://"))
        }
        url => Ok(url.map(|url| url.trim_end_matches('/').to_owned())),
    }
}

/// HS256 is as strong as its key; RFC 7518 section 3.2 asks for 256 bits.
fn signing_secret<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Secret>, D::Error> {
    match text(input)? {
        Some(text) if text.len() < 32 => Err(de::Error::custom("is too short, it needs 32 bytes or more")),
        text => Ok(text.map(Secret::new)),
    }
}

fn state_key<'de, D: Deserializer<'de>>(input: D) -> Result<Option<StateKey>, D::Error> {
    let Some(text) = text(input)? else { return Ok(None) };
    let key = StateKey::parse(&text);
    Ok(Some(key.ok_or_else(|| de::Error::custom("is not 32 bytes as 64 hexadecimal digits or base64"))?))
}

fn level<'de, D: Deserializer<'de>>(input: D) -> Result<LevelFilter, D::Error> {
    let text = String::deserialize(input)?;
    match text.parse() {
        Ok(LevelFilter::Off) | Err(_) => {
            Err(de::Error::custom(format!("{text:?} is none of error, warn, info, debug, trace")))
        }
        Ok(level) => Ok(level),
    }
}

fn absolute_paths<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, PathBuf>, D::Error> {
    let paths = BTreeMap::<String, PathBuf>::deserialize(input)?;
    match paths.iter().find(|(_, path)| !path.is_absolute()) {
        Some((name, _)) => Err(de::Error::custom(format!("the path of {name:?} is not absolute"))),
        None => Ok(paths),
    }
}
