//! Follows the tasks about some machines: which there are, how far they are, and how they ended.
//!
//! A task's log is read on from where the last look ended. A clone is a task of the machine it is made from, whose log
//! names the new one on most kinds of storage; where it does not, the lock of the new one may tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::labs::machines::{MachineTask, TaskFeed};
use futures_util::future::join_all;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::known::Known;
use super::task::Upid;
use super::task_log::plain;
use super::{Listed, Proxmox, Status, escaped};

/// Calls at once.
const CALLS: usize = 4;
/// Logs read in one look.
const LOGS: usize = 20;
/// Templates asked for clones in one look; of more, the next ones have their turn with the next look.
const TEMPLATES: usize = 8;
const MOST_TASKS: usize = 300;
/// Between two looks at which machines there are: while one of ours is not there or has no name, and after.
const MACHINES_EVERY: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
/// Clocks are compared by whole seconds.
const APART: SignedDuration = SignedDuration::from_secs(2);

pub(super) struct Follow<'a> {
    proxmox: &'a Proxmox,
    vmids: Vec<u32>,
    since: Timestamp,
    /// How much later it is there than here.
    ahead: SignedDuration,
    /// Name and node of each machine of ours that was ever seen.
    ours: BTreeMap<u32, (String, String)>,
    /// Node and id.
    templates: Vec<(String, u32)>,
    /// Machines that are being cloned now, whoever's they are.
    cloned: Vec<u32>,
    machines_at: Option<Instant>,
    turn: usize,
    known: BTreeMap<String, Known>,
}

#[derive(Deserialize)]
struct Guest {
    vmid: Option<u32>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    node: String,
    template: Option<Value>,
    lock: Option<String>,
}

impl<'a> Follow<'a> {
    pub fn new(proxmox: &'a Proxmox, vmids: &[u32], since: Timestamp) -> Self {
        Self {
            proxmox,
            vmids: vmids.to_vec(),
            since,
            ahead: SignedDuration::ZERO,
            ours: BTreeMap::new(),
            templates: vec![],
            cloned: vec![],
            machines_at: None,
            turn: 0,
            known: BTreeMap::new(),
        }
    }

    /// Whether it is time to look which machines there are.
    fn is_time(&self) -> bool {
        let named = self.ours.values().filter(|(name, _)| !name.is_empty()).count();
        let all_there = named == self.vmids.len() && !self.known.values().any(Known::is_nobodys);
        self.machines_at.is_none_or(|at| at.elapsed() >= MACHINES_EVERY[usize::from(all_there)])
    }

    async fn machines(&mut self) -> Result<()> {
        let answer = self.proxmox.wire.answer::<Vec<Guest>>(Method::GET, "cluster/resources?type=vm").await?;
        self.machines_at = Some(Instant::now());
        let there = answer.date.and_then(|date| DateTimeParser::new().parse_timestamp(&date).ok());
        let ahead = there.map_or(SignedDuration::ZERO, |there| there.duration_since(Timestamp::now()));
        self.ahead = if ahead.abs() <= APART { SignedDuration::ZERO } else { ahead };
        (self.templates, self.cloned) = (vec![], vec![]);
        for guest in answer.data {
            let Some(vmid) = guest.vmid else { continue };
            if guest.lock.as_deref() == Some("clone") {
                self.cloned.push(vmid);
            }
            if self.vmids.contains(&vmid) {
                // That is how one without a name is told, and one that is being cloned has none.
                let named = ![format!("VM {vmid}"), format!("CT {vmid}")].contains(&guest.name);
                let name = if named { plain(&guest.name) } else { String::new() };
                self.ours.insert(vmid, (name, guest.node));
            } else if guest.template.is_some_and(|it| it == 1 || it == true || it == "1") {
                self.templates.push((guest.node, vmid));
            }
        }
        Ok(())
    }

    /// Which tasks there are, by the machines they are about.
    async fn list(&mut self) -> Result<()> {
        let ours = self.ours.iter().map(|(vmid, (_, node))| (node.clone(), *vmid));
        let running = self.known.values().filter(|task| task.exit.is_none() && !task.over);
        let mut about: BTreeSet<(String, u32)> =
            ours.chain(running.filter_map(|task| Some((task.node.clone(), task.about?)))).collect();
        let turns = self.templates.len().div_ceil(TEMPLATES).max(1);
        about.extend(
            self.templates.chunks(TEMPLATES).nth(self.turn % turns).unwrap_or_default().iter().cloned(),
        );
        self.turn += 1;
        let since = self.since + self.ahead - APART;
        let (mut failed, mut listed, mut seen) = (None, BTreeSet::new(), BTreeSet::new());
        let about: Vec<_> = about.into_iter().collect();
        for some in about.chunks(CALLS) {
            let mut asked = Vec::new();
            for (node, vmid) in some {
                asked.push(self.proxmox.listed(node, *vmid, since));
            }
            for (of, answer) in some.iter().zip(join_all(asked).await) {
                match answer {
                    Ok(tasks) => {
                        listed.insert(of.clone());
                        seen.extend(tasks.iter().map(|task| task.upid.clone()));
                        tasks.into_iter().for_each(|task| self.note(task, since));
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        if let (Some(error), true) = (failed, listed.is_empty()) {
            return Err(error);
        }
        // A list forgets old ones, and a node that went down has none of them.
        let gone = self.known.iter().filter(|(upid, task)| {
            let of = task.about.map(|about| (task.node.clone(), about));
            task.exit.is_none() && !seen.contains(*upid) && of.is_some_and(|of| listed.contains(&of))
        });
        let gone: Vec<(String, String)> =
            gone.map(|(upid, task)| (upid.clone(), task.node.clone())).take(LOGS).collect();
        for (upid, node) in gone {
            let path = format!("nodes/{node}/tasks/{}/status", escaped(&upid));
            let Ok(status) = self.proxmox.wire.get::<Status>(&path).await else { continue };
            if status.status == "stopped"
                && let Some(task) = self.known.get_mut(&upid)
            {
                task.exit = Some(plain(status.exitstatus.as_deref().unwrap_or("unexpected status")));
            }
        }
        Ok(())
    }

    fn note(&mut self, task: Listed, since: Timestamp) {
        let Some(upid) = Upid::parse(&task.upid) else { return };
        if !self.known.contains_key(&task.upid) {
            let begun = Known::of(&upid, &self.vmids);
            let wanted = begun.is_clone() || begun.vmid.is_some();
            if !wanted || upid.started_s < since.as_second() || self.known.len() >= MOST_TASKS {
                return;
            }
            self.known.insert(task.upid.clone(), begun);
        }
        if let (Some(known), Some(exit)) = (self.known.get_mut(&task.upid), task.status)
            && exit != "RUNNING"
        {
            known.exit = Some(plain(&exit));
        }
    }

    /// Reads logs on. One that cannot be read now is read with the next look.
    async fn read(&mut self) {
        let mut wanted = Vec::new();
        for (upid, task) in self.known.iter_mut().filter(|(_, task)| !task.over) {
            // All is known of one of ours that ended well.
            task.over = !task.is_clone() && task.exit.as_deref() == Some("OK");
            if !task.over && wanted.len() < LOGS {
                wanted.push(task.next_part(upid));
            }
        }
        for some in wanted.chunks(CALLS) {
            let mut asked = Vec::new();
            for next in some {
                asked.push(self.proxmox.part(next));
            }
            for (next, (disks, part)) in some.iter().zip(join_all(asked).await) {
                let Some(task) = self.known.get_mut(&next.upid) else { continue };
                if let Ok(part) = part {
                    task.disks = task.disks.or(disks);
                    task.take(&part, &self.vmids);
                }
            }
        }
    }

    /// A clone whose log names nobody is of the one machine that is being cloned, if there is but one of each.
    fn match_lock(&mut self) {
        let locked: Vec<u32> = self
            .cloned
            .iter()
            .copied()
            .filter(|vmid| !self.known.values().any(|task| task.is_clone() && task.vmid == Some(*vmid)))
            .collect();
        let mut clones = self.known.values_mut().filter(|task| task.is_nobodys());
        if let ([vmid], Some(clone), None) = (locked.as_slice(), clones.next(), clones.next())
            && self.vmids.contains(vmid)
        {
            clone.vmid = Some(*vmid);
        }
    }

    fn tasks(&self) -> Vec<MachineTask> {
        let name = |vmid| self.ours.get(&vmid).map(|(name, _)| name.clone()).filter(|name| !name.is_empty());
        let told = self.known.iter().filter_map(|(upid, task)| task.told(upid, name(task.vmid?), self.ahead));
        let mut tasks: Vec<_> = told.collect();
        tasks.sort_by_key(|task| task.started_at);
        tasks
    }
}

#[async_trait]
impl TaskFeed for Follow<'_> {
    async fn look(&mut self) -> Result<Vec<MachineTask>> {
        if self.is_time() {
            self.machines().await?;
        }
        self.list().await?;
        self.read().await;
        self.match_lock();
        // Made since then: what is told of it has its name.
        if self.known.values().any(|task| task.vmid.is_some_and(|vmid| !self.ours.contains_key(&vmid))) {
            self.machines().await?;
        }
        Ok(self.tasks())
    }
}
