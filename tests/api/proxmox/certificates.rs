//! Whose certificate is taken, and what is said of one that is not.

use std::path::PathBuf;

use flow_manager::driven::proxmox::{Proxmox, ProxmoxOptions};
use serde_json::json;

use super::bench_with;
use crate::harness::{Authority, TestPve};
use crate::labs::Person;

const HERE: &str = "IP:127.0.0.1";

/// What is said of it, when this authority alone is trusted besides the system's.
async fn refusal(pve: &TestPve, ca_file: Option<PathBuf>) -> String {
    let error = proxmox(pve, None, ca_file).check().await.unwrap_err();
    assert_eq!(error.code, "machines.unavailable", "{error}");
    error.public
}

fn proxmox(pve: &TestPve, fingerprint: Option<String>, ca_file: Option<PathBuf>) -> Proxmox {
    let options = ProxmoxOptions { url: pve.url(), token: TestPve::TOKEN.into(), fingerprint, ca_file };
    Proxmox::new(options).unwrap()
}

#[tokio::test]
async fn an_authority_vouches_for_its_own_servers_alone() {
    let (ours, other) = (Authority::new(), Authority::new());
    let pve = TestPve::with(ours.signs(HERE)).await;
    proxmox(&pve, None, Some(ours.pem())).check().await.unwrap();
    let nobody = "Proxmox VE's certificate is refused: nobody who is trusted here signed it.";
    assert_eq!(refusal(&pve, Some(other.pem())).await, nobody);
    assert_eq!(refusal(&pve, None).await, nobody);
}

#[tokio::test]
async fn a_fingerprint_stands_for_one_certificate_whoever_signed_it() {
    let ours = Authority::new();
    let pve = TestPve::with(ours.signs(HERE)).await;
    proxmox(&pve, Some(pve.fingerprint()), None).check().await.unwrap();
    // The same server's next certificate is another one.
    let next = ours.signs(HERE).fingerprint();
    let error = proxmox(&pve, Some(next), None).check().await.unwrap_err();
    assert_eq!(error.public, "Proxmox VE's certificate is refused: it has another fingerprint.");
}

#[tokio::test]
async fn one_that_is_old_or_for_another_is_refused() {
    let ours = Authority::new();
    let old = TestPve::with(ours.signed_long_ago(HERE)).await;
    let told = refusal(&old, Some(ours.pem())).await;
    assert_eq!(told, "Proxmox VE's certificate is refused: it has expired.");
    let another = TestPve::with(ours.signs("DNS:pve.example.org")).await;
    let told = refusal(&another, Some(ours.pem())).await;
    assert_eq!(told, "Proxmox VE's certificate is refused: it is for another name.");
    let own = TestPve::start().await;
    let told = refusal(&own, Some(own.certificate().file.clone())).await;
    assert_eq!(told, "Proxmox VE's certificate is refused: it is an authority's own, and no server's.");
}

#[tokio::test]
async fn the_operator_is_told_why_and_nothing_is_sent() {
    let ours = Authority::new();
    let pve = TestPve::with(ours.signed_long_ago(HERE)).await;
    let ca_file = ours.pem();
    let trusted = [("FLOW_PROXMOX_FINGERPRINT", ""), ("FLOW_PROXMOX_CA_FILE", ca_file.to_str().unwrap())];
    let bench = bench_with(&pve, "700-702", &trusted).await;
    let operator = Person::operator(&bench).await;
    let refused = operator.get("/orphans").await;
    refused.refused(503, "machines.unavailable");
    let told = "Proxmox VE's certificate is refused: it has expired.";
    assert_eq!(refused.body["detail"], told, "{}", refused.body);
    let health = operator.see("/health").await;
    let machines = &health["components"]["machines"];
    assert_eq!((&machines["status"], &machines["detail"]), (&"degraded".into(), &told.into()), "{health}");
    assert_eq!(pve.seen().await, Vec::<String>::new());
    // Providers trust the same authority.
    let ann = Person::learner(&bench, "ann").await;
    let run = ann.done("/labs/machines/launch", json!({})).await;
    let events = bench.events(run["id"].as_str().unwrap()).await;
    assert!(events.contains(&format!("trusted: {}", ca_file.display())), "{events}");
}
