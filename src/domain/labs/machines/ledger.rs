//! Which machines are whose, and which are nobody's.

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Machine, Reservation};
use crate::labs::SessionStatus;
use crate::{Result, SessionId};

/// Providers' kinds of machines in a Terraform state.
const KINDS: [&str; 2] = ["proxmox_virtual_environment_vm", "proxmox_virtual_environment_container"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrphanKind {
    /// In Proxmox, and in no session's state: nobody will ever take it down.
    NotInState,
    /// In a session's state, and not in Proxmox: somebody took it away.
    NotInProxmox,
}

impl OrphanKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInState => "not_in_state",
            Self::NotInProxmox => "not_in_proxmox",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::NotInState, Self::NotInProxmox].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Something that a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: OrphanKind,
    pub vmid: u32,
    pub name: Option<String>,
    pub node: Option<String>,
    /// Whose it is, or was.
    pub session: Option<SessionId>,
}

/// The same, as it is kept until it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Orphan {
    pub id: Uuid,
    pub kind: OrphanKind,
    pub vmid: u32,
    pub name: Option<String>,
    pub node: Option<String>,
    pub session: Option<SessionId>,
    pub found_at: Timestamp,
    pub seen_at: Timestamp,
}

/// A reservation, and how its session is.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserved {
    pub reservation: Reservation,
    pub status: SessionStatus,
}

/// Where reservations and orphans are kept.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Reserves so many ids for a session, before anything is made: the same ones when asked again. They are free again
    /// when the session is over and no orphan has them; those that were free the longest come first. The conflicts are
    /// `machines.none_free`, which reserves nothing, and `session.ended`.
    async fn reserve(&self, session: SessionId, count: u32) -> Result<Reservation>;
    /// Of a session, if it has one.
    async fn reservation(&self, session: SessionId) -> Result<Option<Reservation>>;
    /// Of sessions that are not over.
    async fn reserved(&self) -> Result<Vec<Reserved>>;
    /// Keeps what was found; what was known and is not found is gone.
    async fn settle(&self, found: &[Found]) -> Result<()>;
    /// Those that are there, oldest first.
    async fn orphans(&self) -> Result<Vec<Orphan>>;
    /// One is dealt with.
    async fn forget(&self, id: Uuid) -> Result<()>;
}

/// Compares the cluster with the sessions' states. `ours` says which machines are labs'; `states` has each live
/// session's reservation and state. While a session is built or taken down its state lags behind, and says nothing.
pub fn compare(
    machines: &[Machine],
    states: &[(Reserved, Option<Value>)],
    ours: impl Fn(&Machine) -> bool,
) -> Vec<Found> {
    let mut found = Vec::new();
    let moving = |status| matches!(status, SessionStatus::Launching | SessionStatus::Finishing);
    let in_states: Vec<(SessionId, SessionStatus, u32)> = states
        .iter()
        .flat_map(|(reserved, state)| {
            let session = (reserved.reservation.session, reserved.status);
            vmids(state.as_ref()).into_iter().map(move |vmid| (session.0, session.1, vmid))
        })
        .collect();
    for machine in machines.iter().filter(|machine| ours(machine)) {
        let owner = states.iter().find(|(reserved, _)| reserved.reservation.vmids.contains(&machine.vmid));
        let known = in_states.iter().any(|(_, _, vmid)| *vmid == machine.vmid);
        if !known && !owner.is_some_and(|(reserved, _)| moving(reserved.status)) {
            found.push(Found {
                kind: OrphanKind::NotInState,
                vmid: machine.vmid,
                name: Some(machine.name.clone()),
                node: Some(machine.node.clone()),
                session: owner.map(|(reserved, _)| reserved.reservation.session),
            });
        }
    }
    for (session, status, vmid) in in_states {
        if !moving(status) && !machines.iter().any(|machine| machine.vmid == vmid) {
            let kind = OrphanKind::NotInProxmox;
            found.push(Found { kind, vmid, name: None, node: None, session: Some(session) });
        }
    }
    found
}

/// Ids of the machines in a Terraform state.
fn vmids(state: Option<&Value>) -> Vec<u32> {
    let resources = state.and_then(|state| state["resources"].as_array()).into_iter().flatten();
    let machines = resources.filter(|resource| KINDS.iter().any(|kind| resource["type"] == *kind));
    let instances = machines.flat_map(|resource| resource["instances"].as_array().into_iter().flatten());
    instances.filter_map(|instance| u32::try_from(instance["attributes"]["vm_id"].as_u64()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn machine(vmid: u32) -> Machine {
        let (name, node) = (format!("vm-{vmid}"), "pve1".to_owned());
        Machine { vmid, name, node, pool: Some("labs".into()), status: "running".into() }
    }

    fn state(vmids: &[u32]) -> Option<Value> {
        let instances: Vec<Value> = vmids.iter().map(|id| json!({"attributes": {"vm_id": id}})).collect();
        Some(json!({"resources": [
            {"type": KINDS[0], "instances": instances},
            {"type": "terraform_data", "instances": [{"attributes": {"vm_id": 999}}]}]}))
    }

    #[test]
    fn strays_of_both_kinds_are_found_and_what_is_on_the_way_is_left_alone() {
        let reserved = |vmids: &[u32], status| Reserved {
            reservation: Reservation {
                session: SessionId::new(),
                vmids: vmids.to_vec(),
                pool: "labs".into(),
                tag: "fm".into(),
            },
            status,
        };
        let ready = reserved(&[101, 102, 103], SessionStatus::Ready);
        let session = ready.reservation.session;
        let states = vec![
            // 101 is as it should be, 102 was taken away, 103 was made and never written down.
            (ready, state(&[101, 102])),
            (reserved(&[104], SessionStatus::Launching), None),
            (reserved(&[105], SessionStatus::Finishing), state(&[105])),
        ];
        let machines = [machine(101), machine(103), machine(104), machine(106), machine(9000)];
        let found = compare(&machines, &states, |machine| machine.vmid < 9000);
        let brief: Vec<_> = found.iter().map(|it| (it.kind, it.vmid, it.session)).collect();
        let (stray, gone) = (OrphanKind::NotInState, OrphanKind::NotInProxmox);
        assert_eq!(brief, [(stray, 103, Some(session)), (stray, 106, None), (gone, 102, Some(session))]);
    }
}
