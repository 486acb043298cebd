//! The look for strays that nobody asks for.

use std::time::{Duration, Instant};

use flow_domain::SessionId;
use flow_domain::labs::machines::Machines;
use flow_domain::labs::{StateCopies, StateCopy};
use flow_manager::driven::postgres::PgStateCopies;
use flow_manager::driven::proxmox::Proxmox;
use flow_manager::driven::sealing::StateKey;
use serde_json::{Value, json};

use super::{bench_with, options};
use crate::harness::TestPve;
use crate::labs::{Bench, Person};

const PATIENCE: Duration = Duration::from_secs(60);

/// Looks every second.
async fn sweeping(pve: &TestPve) -> Bench {
    bench_with(pve, "700-710", &[("FLOW_PROXMOX_SWEEP_S", "1")]).await
}

async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !there().await {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ids of the machines that are on the list, and not asked for over HTTP: that would be a look of its own.
async fn listed(bench: &Bench) -> Vec<i32> {
    let client = bench.app.db.pool.client().await.unwrap();
    let rows = client.query("select vmid from machine_orphan where gone_at is null order by vmid", &[]).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn found(bench: &Bench, vmids: &[i32]) {
    until(&format!("{vmids:?} on the list"), async || listed(bench).await == vmids).await;
}

/// As Terraform would have it after it made these machines for a session.
async fn state_has(bench: &Bench, session: &str, machines: &[(&str, u32)]) {
    // As the bench has it.
    let copies = PgStateCopies::new(bench.app.db.pool.clone(), Some(StateKey::new(&[0xab; 32])));
    let session = SessionId::parse(session).unwrap();
    let last = copies.latest(session).await.unwrap().expect("its launch left a state");
    let mut state: Value = serde_json::from_slice(&last.bytes).unwrap();
    let resources = machines.iter().map(|(kind, vmid)| {
        let kind = format!("proxmox_virtual_environment_{kind}");
        json!({"mode": "managed", "type": kind, "name": "x", "instances": [{"attributes": {"vm_id": vmid}}]})
    });
    state["resources"].as_array_mut().unwrap().extend(resources);
    let serial = last.serial + 1;
    let copy = StateCopy { serial, bytes: serde_json::to_vec(&state).unwrap(), ..last };
    assert!(copies.keep(session, copy).await.unwrap());
}

#[tokio::test]
async fn what_was_made_or_removed_behind_our_back_is_found_by_itself() {
    let pve = TestPve::start().await;
    let bench = sweeping(&pve).await;
    let ann = Person::learner(&bench, "ann").await;
    ann.done("/labs/machines/launch", json!({})).await;
    let session = ann.see("/labs/machines/session").await["id"].as_str().unwrap().to_owned();
    let running = json!({"status": "running"});
    pve.call("add_vm", json!([700, "of-ann"]), running.clone()).await;
    pve.call("add_ct", json!([701, "of-ann"]), running.clone()).await;
    found(&bench, &[700, 701]).await;
    state_has(&bench, &session, &[("vm", 700), ("container", 701)]).await;
    found(&bench, &[]).await;

    // Somebody removes one of them, and makes another.
    Proxmox::new(options(&pve)).unwrap().delete(701).await.unwrap();
    found(&bench, &[701]).await;
    pve.call("add_vm", json!([705, "of-nobody"]), running.clone()).await;
    found(&bench, &[701, 705]).await;
    until("the log tells of both", async || {
        let log = bench.app.log();
        let gone = "machine 701 is in a session's state and not in Proxmox VE: orphan=";
        log.contains(gone) && log.contains("machine 705 is in Proxmox VE and in no session's state: orphan=")
    })
    .await;

    let operator = Person::operator(&bench).await;
    let orphans = operator.see("/orphans").await["data"].clone();
    let brief = |orphan: &Value| json!([orphan["kind"], orphan["vmid"], orphan["session"], orphan["name"]]);
    let told: Vec<_> = orphans.as_array().unwrap().iter().map(brief).collect();
    let gone = json!(["not_in_proxmox", 701, session, null]);
    assert_eq!(told, [gone, json!(["not_in_state", 705, null, "of-nobody"])]);
    let path = format!("/orphans/{}/delete", orphans[1]["id"].as_str().unwrap());
    assert_eq!(operator.post(&path, &json!({})).await.status, 200);
    found(&bench, &[701]).await;
    // It comes back: nobody has to say so.
    pve.call("add_ct", json!([701, "of-ann"]), running).await;
    found(&bench, &[]).await;
    assert_eq!(operator.see("/orphans").await, json!({"data": []}));
    // What is on the list is told once, however often it is seen.
    let log = bench.app.log();
    assert_eq!(log.matches("machine 705 is in Proxmox VE").count(), 1, "{log}");
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_settles_nothing_and_is_told_of_once() {
    let pve = TestPve::start().await;
    let bench = sweeping(&pve).await;
    pve.call("add_vm", json!([705, "of-nobody"]), json!({"status": "running"})).await;
    found(&bench, &[705]).await;
    let operator = Person::operator(&bench).await;
    let before = operator.see("/orphans").await["data"][0].clone();
    // It answers again at the fourth look.
    let fault = json!({"status": 500, "message": "cluster not ready - no quorum?", "times": 3});
    pve.call("fail", json!(["GET", "/cluster/resources"]), fault).await;
    until("it answers again", async || bench.app.log().contains("machines can be looked for again")).await;
    let log = bench.app.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("cannot be looked for")).collect();
    assert!(told.len() == 1 && told[0].contains("no quorum?"), "{told:#?}");
    let after = operator.see("/orphans").await["data"][0].clone();
    assert_eq!((&after["id"], &after["found_at"]), (&before["id"], &before["found_at"]));
}
