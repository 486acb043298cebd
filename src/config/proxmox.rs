//! Where machines of labs are.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::Deserialize;

use super::secret::Secret;
use super::sections::{ids, path, secret, text};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxmox {
    #[serde(deserialize_with = "text")]
    pub url: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub token: Option<Secret>,
    #[serde(deserialize_with = "text")]
    pub fingerprint: Option<String>,
    #[serde(deserialize_with = "path")]
    pub ca_file: Option<PathBuf>,
    pub pool: String,
    #[serde(deserialize_with = "ids")]
    pub vmids: Option<RangeInclusive<u32>>,
    pub sweep_s: NonZeroU32,
}
