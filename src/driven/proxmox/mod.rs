//! Machines of a Proxmox VE cluster, by its API and with a token.

mod pin;
mod task;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::labs::machines::{Machine, MachineTask, Machines};
use flow_domain::{Error, Result};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use task::{Upid, percent, warnings};
pub use wire::ProxmoxOptions;
use wire::Wire;

/// Between two looks at a task that we wait for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A machine is stopped and removed in less.
const MOST: Duration = Duration::from_secs(300);
/// Of a node's tasks, and of a task's lines, at once.
const AT_ONCE: usize = 500;
/// Of a log, from its end: what is told last counts.
const MOST_LINES: usize = 20_000;

pub struct Proxmox {
    wire: Wire,
    options: ProxmoxOptions,
}

#[derive(Deserialize)]
struct Resource {
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

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    t: String,
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

    async fn listed(&self, node: &str, vmid: u32, since: Timestamp) -> Result<Vec<Listed>> {
        // Left out, `source` is the archive alone: what runs would not be there.
        let path =
            format!("nodes/{node}/tasks?source=all&vmid={vmid}&since={}&limit={AT_ONCE}", since.as_second());
        self.wire.get(&path).await
    }

    async fn log(&self, node: &str, upid: &str) -> Result<Vec<String>> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let path =
                format!("nodes/{node}/tasks/{}/log?start={}&limit={AT_ONCE}", escaped(upid), lines.len());
            let page: Vec<Line> = self.wire.get(&path).await?;
            let more = page.len() == AT_ONCE && lines.len() < MOST_LINES;
            lines.extend(page.into_iter().map(|line| line.t));
            if !more {
                return Ok(lines);
            }
        }
    }

    async fn told(&self, listed: Listed, vmid: u32, disks: usize) -> Result<Option<MachineTask>> {
        let Some(upid) = Upid::parse(&listed.upid) else { return Ok(None) };
        let exit = listed.status.filter(|status| status != "RUNNING");
        let lines = match &exit {
            Some(exit) if !exit.starts_with("WARNINGS") => vec![],
            _ => self.log(upid.node, &listed.upid).await?,
        };
        let texts = || lines.iter().map(String::as_str);
        let percent = if exit.is_none() { percent(texts(), disks) } else { None };
        let kind = upid.kind.to_owned();
        Ok(Some(MachineTask { vmid, kind, exit, percent, warnings: warnings(texts()), upid: listed.upid }))
    }

    /// How many disks a machine has, to tell how far all of them are; one if nobody knows.
    async fn disks(&self, node: &str, vmid: u32) -> usize {
        let config: Result<BTreeMap<String, Value>> =
            self.wire.get(&format!("nodes/{node}/qemu/{vmid}/config")).await;
        let is_disk = |(key, value): &(&String, &Value)| {
            let bus = key.trim_end_matches(|letter: char| letter.is_ascii_digit());
            let media = value.as_str().is_some_and(|value| value.contains("media=cdrom") || value == "none");
            bus.len() < key.len() && ["scsi", "virtio", "sata", "ide"].contains(&bus) && !media
        };
        config.map_or(1, |config| config.iter().filter(is_disk).count().max(1))
    }

    /// Waits for a task's end.
    async fn ended(&self, upid: &str) -> Result<()> {
        let node = Upid::parse(upid).map(|upid| upid.node).ok_or_else(|| wire::away(&"no task's id"))?;
        let start = Instant::now();
        loop {
            let path = format!("nodes/{node}/tasks/{}/status", escaped(upid));
            let status: Status = self.wire.get(&path).await?;
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
        let resources: Vec<Resource> = self.wire.get("cluster/resources?type=vm").await?;
        let machine = |it: Resource| {
            let known = ["qemu", "lxc"].contains(&it.kind.as_str());
            let vmid = it.vmid.filter(|_| known)?;
            Some(Machine { vmid, name: it.name, node: it.node, pool: it.pool, status: it.status })
        };
        Ok(resources.into_iter().filter_map(machine).collect())
    }

    /// Asked with the token that Terraform has: a token sees its own tasks without further rights. A clone is a task of
    /// the template, whose log names the new machine.
    async fn tasks(&self, vmids: &[u32], since: Timestamp) -> Result<Vec<MachineTask>> {
        let machines = self.machines().await?;
        let mut tasks = Vec::new();
        for vmid in vmids {
            let Some(machine) = machines.iter().find(|machine| machine.vmid == *vmid) else { continue };
            let listed = self.listed(&machine.node, *vmid, since).await?;
            let running = listed.iter().any(|task| task.status.as_deref().is_none_or(|it| it == "RUNNING"));
            let disks = if running { self.disks(&machine.node, *vmid).await } else { 1 };
            for task in listed {
                tasks.extend(self.told(task, *vmid, disks).await?);
            }
        }
        tasks.sort_by_key(|task| Upid::parse(&task.upid).map(|upid| upid.started_s));
        Ok(tasks)
    }

    async fn delete(&self, vmid: u32) -> Result<()> {
        let machines = self.machines().await?;
        let Some(machine) = machines.into_iter().find(|machine| machine.vmid == vmid) else {
            return Ok(());
        };
        let base = format!("nodes/{}/qemu/{vmid}", machine.node);
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
