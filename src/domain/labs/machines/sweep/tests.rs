use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::labs::machines::{NoMachines, TaskFeed};
use crate::labs::{Lab, LabCatalogue, LabSessions, StateCopy};
use crate::testing::{MemoryLabSessions, MemoryLedger, OneLab, TempWorkspaces};
use crate::{SessionId, UserId};

/// A cluster where a session may end while it is asked.
#[derive(Default)]
struct Cluster {
    there: Mutex<Vec<u32>>,
    away: Mutex<bool>,
    ends: Mutex<Option<(Arc<MemoryLabSessions>, SessionId)>>,
}

#[async_trait]
impl Machines for Cluster {
    fn access(&self) -> Option<(String, String)> {
        Some((String::new(), String::new()))
    }

    async fn machines(&self) -> Result<Vec<Machine>> {
        if *self.away.lock().unwrap() {
            return Err(Error::unavailable("machines.unavailable", "away"));
        }
        let ends = self.ends.lock().unwrap().take();
        if let Some((sessions, id)) = ends {
            sessions.set_status(id, SessionStatus::Finished, None).await?;
        }
        let machine = |vmid: &u32| {
            let (name, node) = (format!("vm-{vmid}"), "pve1".to_owned());
            Machine { vmid: *vmid, name, node, pool: None, status: "running".to_owned() }
        };
        Ok(self.there.lock().unwrap().iter().map(machine).collect())
    }

    fn follow<'a>(&'a self, _vmids: &[u32], _since: Timestamp) -> Box<dyn TaskFeed + 'a> {
        Box::new(NoMachines)
    }

    async fn delete(&self, vmid: u32) -> Result<()> {
        self.there.lock().unwrap().retain(|it| *it != vmid);
        Ok(())
    }
}

/// One state for whoever asks.
struct Copy(Vec<u8>);

#[async_trait]
impl StateCopies for Copy {
    fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn keep(&self, _session: SessionId, _copy: StateCopy) -> Result<bool> {
        Ok(false)
    }

    async fn latest(&self, _session: SessionId) -> Result<Option<StateCopy>> {
        Ok(Some(StateCopy { lineage: String::new(), serial: 1, bytes: self.0.clone() }))
    }
}

fn state(vmid: u32) -> Vec<u8> {
    let instances = json!([{"attributes": {"vm_id": vmid}}]);
    let kind = "proxmox_virtual_environment_container";
    json!({"resources": [{"type": kind, "instances": instances}]}).to_string().into_bytes()
}

struct Bench {
    cluster: Arc<Cluster>,
    sessions: Arc<MemoryLabSessions>,
    session: SessionId,
    orphans: Orphans,
}

/// A session that is ready, with the machine 700 reserved and this state.
async fn bench(there: &[u32], state: Vec<u8>) -> Bench {
    let dir = TempWorkspaces::default();
    let lab: Arc<Lab> = OneLab::in_folder(dir.root()).unwrap().labs().remove(0);
    let sessions = Arc::new(MemoryLabSessions::default());
    let session = sessions.open(UserId::new(), &lab).await.unwrap().id;
    let ledger = Arc::new(MemoryLedger::new(sessions.clone(), ("labs".to_owned(), 700, 709)));
    ledger.reserve(session, 1).await.unwrap();
    sessions.set_status(session, SessionStatus::Ready, None).await.unwrap();
    let cluster = Arc::new(Cluster { there: Mutex::new(there.to_vec()), ..Cluster::default() });
    let of_labs = OfLabs { pool: "labs".to_owned(), first: 700, last: 709 };
    let orphans = Orphans::new(cluster.clone(), ledger, Arc::new(Copy(state)), of_labs);
    Bench { cluster, sessions, session, orphans }
}

fn brief(found: Result<Vec<Orphan>>) -> Vec<(OrphanKind, u32)> {
    found.unwrap().iter().map(|orphan| (orphan.kind, orphan.vmid)).collect()
}

#[tokio::test]
async fn a_cluster_that_is_away_settles_nothing() {
    let bench = bench(&[705, 9000], state(700)).await;
    let both = [(OrphanKind::NotInProxmox, 700), (OrphanKind::NotInState, 705)];
    assert_eq!(brief(bench.orphans.sweep().await), both);
    *bench.cluster.away.lock().unwrap() = true;
    assert_eq!(bench.orphans.sweep().await.unwrap_err().code, "machines.unavailable");
    assert_eq!(brief(bench.orphans.ledger.orphans().await), both, "what was known is known");
    *bench.cluster.away.lock().unwrap() = false;
    *bench.cluster.there.lock().unwrap() = vec![700];
    assert_eq!(brief(bench.orphans.sweep().await), []);
}

#[tokio::test]
async fn a_session_that_ends_while_we_look_leaves_no_stray() {
    let bench = bench(&[700], state(700)).await;
    *bench.cluster.ends.lock().unwrap() = Some((bench.sessions.clone(), bench.session));
    assert_eq!(brief(bench.orphans.sweep().await), []);
    // Still there at the next look: it was left behind.
    assert_eq!(brief(bench.orphans.sweep().await), [(OrphanKind::NotInState, 700)]);
    let id = bench.orphans.ledger.orphans().await.unwrap()[0].id;
    assert_eq!(bench.orphans.delete(id).await.unwrap().vmid, 700);
    assert_eq!(bench.orphans.delete(id).await.unwrap_err().code, "orphan.unknown");
}

#[tokio::test]
async fn a_state_that_cannot_be_read_says_nothing() {
    let bench = bench(&[700], b"{".to_vec()).await;
    assert_eq!(brief(bench.orphans.sweep().await), []);
}
