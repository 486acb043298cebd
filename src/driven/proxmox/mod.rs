//! Machines of a Proxmox VE cluster, by its API and with a token.

mod follow;
mod known;
mod pin;
mod task;
mod task_log;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::labs::machines::{Machine, Machines, TaskFeed};
use flow_domain::{Error, Kind, Result};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use follow::Follow;
use task::Upid;
pub use wire::ProxmoxOptions;
use wire::Wire;

/// Between two looks at a task that we wait for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks in a row that nobody answers: the task goes on without us.
const MOST_UNHEARD: u32 = 5;
/// A machine is stopped and removed in less.
const MOST: Duration = Duration::from_secs(300);
/// Of a node's tasks at once.
const AT_ONCE: usize = 500;
/// Keys of a configuration that are disks, before their numbers.
const BUSES: [&str; 6] = ["scsi", "virtio", "sata", "ide", "efidisk", "tpmstate"];

pub struct Proxmox {
    wire: Wire,
    options: ProxmoxOptions,
}

#[derive(Deserialize)]
struct Resource {
    /// `qemu` or `lxc`, as it stands in paths.
    #[serde(rename = "type", default)]
    kind: String,
    vmid: Option<u32>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    status: String,
    pool: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    upid: String,
    /// Of one that has ended; a running one has none, or `RUNNING`.
    status: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
    exitstatus: Option<String>,
}

impl Proxmox {
    /// Calls nobody yet. The error is a sentence.
    pub fn new(options: ProxmoxOptions) -> std::result::Result<Self, String> {
        Ok(Self { wire: Wire::new(&options)?, options })
    }

    /// Whether it answers and takes the token.
    pub async fn check(&self) -> Result<()> {
        self.wire.get::<Value>("version").await.map(drop)
    }

    /// Virtual machines and containers, which share their ids.
    async fn resources(&self) -> Result<Vec<Resource>> {
        let resources: Vec<Resource> = self.wire.get("cluster/resources?type=vm").await?;
        Ok(resources.into_iter().filter(|it| ["qemu", "lxc"].contains(&it.kind.as_str())).collect())
    }

    async fn listed(&self, node: &str, vmid: u32, since: Timestamp) -> Result<Vec<Listed>> {
        // Left out, `source` is the archive alone: what runs would not be there.
        let path =
            format!("nodes/{node}/tasks?source=all&vmid={vmid}&since={}&limit={AT_ONCE}", since.as_second());
        self.wire.get(&path).await
    }

    /// How many disks a machine has, to tell how far all of them are; one if nobody knows.
    async fn disks(&self, node: &str, vmid: u32) -> usize {
        let config: Result<BTreeMap<String, Value>> =
            self.wire.get(&format!("nodes/{node}/qemu/{vmid}/config")).await;
        let is_disk = |(key, value): &(&String, &Value)| {
            let bus = key.trim_end_matches(|letter: char| letter.is_ascii_digit());
            let media = value.as_str().is_some_and(|value| value.contains("media=cdrom") || value == "none");
            bus.len() < key.len() && BUSES.contains(&bus) && !media
        };
        config.map_or(1, |config| config.iter().filter(is_disk).count().max(1))
    }

    /// Waits for a task's end.
    async fn ended(&self, upid: &str) -> Result<()> {
        let node = Upid::parse(upid).map(|upid| upid.node).ok_or_else(|| wire::away(&"no task's id"))?;
        let start = Instant::now();
        let mut unheard = 0;
        loop {
            let path = format!("nodes/{node}/tasks/{}/status", escaped(upid));
            let status: Status = match self.wire.get(&path).await {
                Err(error) if error.kind == Kind::Unavailable && unheard < MOST_UNHEARD => {
                    unheard += 1;
                    sleep(LOOK_EVERY).await;
                    continue;
                }
                status => status?,
            };
            unheard = 0;
            match (status.status.as_str(), status.exitstatus.as_deref()) {
                ("stopped", Some(exit)) if exit == "OK" || exit.starts_with("WARNINGS") => return Ok(()),
                ("stopped", exit) => {
                    let why = exit.unwrap_or("unexpected status");
                    return Err(Error::conflict("machines.failed", format!("Proxmox VE says: {why}.")));
                }
                _ if start.elapsed() > MOST => return Err(wire::away(&format!("{upid} does not end"))),
                _ => sleep(LOOK_EVERY).await,
            }
        }
    }
}

#[async_trait]
impl Machines for Proxmox {
    fn access(&self) -> Option<(String, String)> {
        Some((self.options.url.clone(), self.options.token.clone()))
    }

    async fn machines(&self) -> Result<Vec<Machine>> {
        let machine = |it: Resource| {
            let vmid = it.vmid?;
            Some(Machine { vmid, name: it.name, node: it.node, pool: it.pool, status: it.status })
        };
        Ok(self.resources().await?.into_iter().filter_map(machine).collect())
    }

    /// Asked with the token that Terraform has: a token sees its own tasks without further rights.
    fn follow<'a>(&'a self, vmids: &[u32], since: Timestamp) -> Box<dyn TaskFeed + 'a> {
        Box::new(Follow::new(self, vmids, since))
    }

    async fn delete(&self, vmid: u32) -> Result<()> {
        let machines = self.resources().await?;
        let Some(machine) = machines.into_iter().find(|machine| machine.vmid == Some(vmid)) else {
            return Ok(());
        };
        let base = format!("nodes/{}/{}/{vmid}", machine.node, machine.kind);
        if machine.status == "running" {
            let upid: String = self.wire.call(Method::POST, &format!("{base}/status/stop")).await?;
            self.ended(&upid).await?;
        }
        let upid: String = self.wire.call(Method::DELETE, &format!("{base}?purge=1")).await?;
        self.ended(&upid).await
    }
}

/// A task's id in a path: it has `!` and `:` and `@`.
fn escaped(upid: &str) -> String {
    upid.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
