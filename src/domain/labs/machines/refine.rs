//! What Terraform works on, refined by what the cluster does for it.
//!
//! Terraform says nothing of an object between its beginning and its end, and of one that is being made not even which
//! machine it is. So a machine that has tasks is taken for the object that has its id, its name, or its place in the
//! list of ids; else for the one that began first of those that nobody has.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::MachineTask;

/// Two clocks, one of which counts whole seconds.
const APART: SignedDuration = SignedDuration::from_secs(2);

/// An object under way, as Terraform tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Working<'a> {
    /// `proxmox_virtual_environment_vm.web["web-1"]`.
    pub address: &'a str,
    /// The resource's type.
    pub kind: &'a str,
    /// Known of what is there already.
    pub id: Option<&'a str>,
    pub since: Timestamp,
}

impl Working<'_> {
    /// Providers call a machine `700` or `pve1/qemu/700`.
    fn vmid(&self) -> Option<u32> {
        self.id?.rsplit('/').next()?.parse().ok()
    }
}

/// What is known of a session's machines at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachinesAtWork {
    /// Those that the session may have, as Terraform was told of them.
    pub vmids: Vec<u32>,
    /// In the order they began.
    pub tasks: Vec<MachineTask>,
}

/// What the cluster says of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Refined {
    /// The machine's name, where it is known.
    pub machine: Option<String>,
    /// What is being done to it now, "cloning disk 41 %".
    pub doing: Option<String>,
    /// How much of the object's work is done, 0 to 1, never going back; none where no log tells.
    pub share: Option<f64>,
}

impl Refined {
    /// "web-1: cloning disk 41 %", with the object's address for a machine without a name; none between two tasks.
    pub fn words(&self, address: &str) -> Option<String> {
        let doing = self.doing.as_ref()?;
        Some(format!("{}: {doing}", self.machine.as_deref().unwrap_or(address)))
    }
}

#[derive(Default)]
pub struct Refinement {
    /// The plan has objects that are machines by their type: no other is taken for one.
    typed: bool,
    seen: MachinesAtWork,
    /// The highest percent of each task: one that starts anew with its next disk is not told as going back.
    highest: BTreeMap<String, u8>,
    /// The object that each machine was taken for.
    objects: BTreeMap<u32, String>,
    /// How far each object was, since it began.
    furthest: BTreeMap<String, (Timestamp, f64)>,
}

impl Refinement {
    /// An object of this type is planned.
    pub fn plan(&mut self, kind: &str) {
        self.typed |= is_machine(kind);
    }

    /// Nothing was ever heard of a machine.
    pub fn is_empty(&self) -> bool {
        self.seen.tasks.is_empty()
    }

    pub fn hear(&mut self, mut seen: MachinesAtWork) {
        for task in &mut seen.tasks {
            if let Some(percent) = &mut task.percent {
                let highest = self.highest.entry(task.upid.clone()).or_default();
                *highest = (*highest).max(*percent);
                *percent = *highest;
            }
        }
        self.seen = seen;
    }

    /// What the cluster says of these objects, by address.
    pub fn of(&mut self, working: &[Working]) -> BTreeMap<String, Refined> {
        let candidates: Vec<&Working> =
            working.iter().filter(|object| !self.typed || is_machine(object.kind)).collect();
        self.assign(&candidates);
        let mut refined = BTreeMap::new();
        for (vmid, address) in &self.objects {
            let Some(object) = candidates.iter().find(|object| object.address == address) else { continue };
            let tasks = || self.seen.tasks.iter().filter(|task| task.vmid == *vmid);
            let since = object.since - APART;
            let told = tasks().filter(|task| task.started_at >= since).filter_map(|task| task.percent).max();
            let (began, furthest) = self.furthest.entry(address.clone()).or_insert((object.since, 0.0));
            // Removed before and made now: another work of the same object.
            if *began != object.since {
                (*began, *furthest) = (object.since, 0.0);
            }
            if let Some(percent) = told {
                *furthest = furthest.max(f64::from(percent.min(100)) / 100.0);
            }
            let now = tasks().rfind(|task| task.is_running());
            let machine = tasks().rev().find_map(|task| task.name.clone());
            let share = (*furthest > 0.0 || told.is_some()).then_some(*furthest);
            let doing = now.map(ToString::to_string);
            refined.insert(address.clone(), Refined { machine, doing, share });
        }
        refined
    }

    /// Takes each machine that has something done to it for one of the objects; what is certain goes first.
    fn assign(&mut self, candidates: &[&Working]) {
        let Some(first) = candidates.iter().map(|object| object.since).min() else { return };
        let counts = |task: &&MachineTask| task.is_running() || task.started_at >= first - APART;
        let mut busy: Vec<&MachineTask> = Vec::new();
        for task in self.seen.tasks.iter().filter(counts) {
            if busy.iter().all(|other| other.vmid != task.vmid) {
                busy.push(task);
            }
        }
        let mut taken = BTreeSet::new();
        let mut objects = BTreeMap::new();
        for task in &busy {
            let name = self
                .seen
                .tasks
                .iter()
                .rev()
                .filter(|it| it.vmid == task.vmid)
                .find_map(|it| it.name.as_deref());
            let place = self.seen.vmids.iter().position(|vmid| *vmid == task.vmid);
            if let Some(address) = certain(candidates, task.vmid, name, place)
                && taken.insert(address)
            {
                objects.insert(task.vmid, address);
            }
        }
        for task in &busy {
            if objects.contains_key(&task.vmid) {
                continue;
            }
            let free = |object: &&&Working| {
                !taken.contains(object.address) && object.vmid().is_none_or(|vmid| vmid == task.vmid)
            };
            let found = match self.objects.get(&task.vmid) {
                // Taken for one that has ended, it is for no other.
                Some(earlier) => candidates.iter().filter(free).find(|object| object.address == earlier),
                None if !task.is_running() => None,
                None => {
                    let began = |object: &&&Working| object.since <= task.started_at + APART;
                    candidates.iter().filter(free).filter(began).min_by_key(|object| object.since)
                }
            };
            if let Some(object) = found {
                taken.insert(object.address);
                objects.insert(task.vmid, object.address);
            }
        }
        self.objects.retain(|_, address| !taken.contains(address.as_str()));
        self.objects.extend(objects.into_iter().map(|(vmid, address)| (vmid, address.to_owned())));
    }
}

/// Types of providers for Proxmox VE that make machines.
fn is_machine(kind: &str) -> bool {
    kind.starts_with("proxmox") && ["vm", "container", "lxc"].iter().any(|what| kind.contains(what))
}

/// The one object that is this machine by its id, its name, or its place in the list of ids.
fn certain<'a>(
    candidates: &[&Working<'a>],
    vmid: u32,
    name: Option<&str>,
    place: Option<usize>,
) -> Option<&'a str> {
    let only = |is: &dyn Fn(&Working) -> bool| {
        let mut found = candidates.iter().filter(|object| is(object));
        found.next().filter(|_| found.next().is_none()).map(|object| object.address)
    };
    let plain = |text: &str| text.replace('_', "-").to_lowercase();
    let by_id = only(&|object| object.vmid() == Some(vmid));
    let by_name = || {
        let name = plain(name?);
        only(&|object| {
            let (resource, key) = parts(object.address);
            let key = key.filter(|key| key.parse::<usize>().is_err());
            let called = plain(key.unwrap_or(resource));
            object.vmid().is_none() && (name == called || name.ends_with(&format!("-{called}")))
        })
    };
    let by_place = || {
        let place = place?;
        only(&|object| {
            let index = parts(object.address).1.and_then(|key| key.parse().ok());
            object.vmid().is_none() && index == Some(place)
        })
    };
    by_id.or_else(by_name).or_else(by_place)
}

/// The resource's name and its key: `module.m.type.web["a"]` is `web` and `a`.
fn parts(address: &str) -> (&str, Option<&str>) {
    let (path, key) = match address.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((path, key)) => (path, Some(key.trim_matches('"'))),
        None => (address, None),
    };
    (path.rsplit('.').next().unwrap_or(path), key)
}

#[cfg(test)]
mod tests;
