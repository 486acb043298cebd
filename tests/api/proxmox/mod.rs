//! Machines of labs, on a Proxmox VE that makes nothing.

mod certificates;
mod faults;
mod feed;
mod offered;
mod slow;
mod sweeping;
mod tasks;

use flow_domain::labs::machines::Machines;
use flow_manager::driven::proxmox::{Proxmox, ProxmoxOptions};
use serde_json::{Value, json};

use crate::harness::TestPve;
use crate::labs::{Bench, Person};

fn options(pve: &TestPve) -> ProxmoxOptions {
    ProxmoxOptions {
        url: pve.url(),
        token: TestPve::TOKEN.into(),
        fingerprint: Some(pve.fingerprint()),
        ca_file: None,
    }
}

async fn code(options: ProxmoxOptions) -> &'static str {
    Proxmox::new(options).unwrap().check().await.unwrap_err().code
}

#[tokio::test]
async fn only_the_certificate_that_is_meant_is_taken() {
    let pve = TestPve::start().await;
    Proxmox::new(options(&pve)).unwrap().check().await.unwrap();
    let nobody = ProxmoxOptions { fingerprint: None, ..options(&pve) };
    assert_eq!(code(nobody).await, "machines.unavailable", "nobody vouches for it");
    let another = ProxmoxOptions { fingerprint: Some("ab".repeat(32)), ..options(&pve) };
    assert_eq!(code(another).await, "machines.unavailable");
    let stranger = ProxmoxOptions { token: "root@pam!ci=00000000".into(), ..options(&pve) };
    assert_eq!(code(stranger).await, "machines.forbidden");
    for url in ["http://10.0.0.1:8006", "ftp://x", "x"] {
        assert!(Proxmox::new(ProxmoxOptions { url: url.into(), ..options(&pve) }).is_err(), "{url}");
    }
}

/// What a lab with machines is given.
const GIVEN: &str = r#"
variable "vmids" { type = list(number) }
variable "pool" { type = string }
variable "tag" { type = string }
variable "proxmox_url" { type = string }
variable "proxmox_token" {
  type      = string
  sensitive = true
}
"#;
/// Told what was reserved.
const MAIN: &str = r#"
resource "terraform_data" "x" {
  provisioner "local-exec" { command = "echo the token is $TF_VAR_proxmox_token; echo trusted: $SSL_CERT_FILE" }
}
output "vmids" { value = var.vmids }
output "pool" { value = var.pool }
output "tag" { value = var.tag }
output "leak" { value = nonsensitive(var.proxmox_token) }
"#;

async fn bench(pve: &TestPve, vmids: &str) -> Bench {
    bench_with(pve, vmids, &[]).await
}

async fn bench_with(pve: &TestPve, vmids: &str, more: &[(&str, &str)]) -> Bench {
    let (url, fingerprint) = (pve.url(), pve.fingerprint());
    let mut settings = vec![
        ("FLOW_PROXMOX_URL", url.as_str()),
        ("FLOW_PROXMOX_TOKEN", TestPve::TOKEN),
        ("FLOW_PROXMOX_FINGERPRINT", fingerprint.as_str()),
        ("FLOW_PROXMOX_VMIDS", vmids),
    ];
    settings.extend(more);
    Bench::with_card("machines", &[GIVEN, MAIN].concat(), "#!/bin/sh\nexit 2\n", "machines = 2\n", &settings)
        .await
}

#[tokio::test]
async fn ids_are_reserved_before_anything_is_made_and_free_when_nothing_is_left() {
    let pve = TestPve::start().await;
    let bench = bench(&pve, "700-702").await;
    let ann = Person::learner(&bench, "ann").await;
    let run = ann.done("/labs/machines/launch", json!({})).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let outputs = bench.output(&run, "terraform_apply")["outputs"].clone();
    let session = ann.see("/labs/machines/session").await["id"].as_str().unwrap().to_owned();
    let told =
        json!({"vmids": [700, 701], "pool": "flow-manager", "tag": format!("fm-{session}"), "leak": "***"});
    assert_eq!(outputs, told);
    let events = bench.events(run["id"].as_str().unwrap()).await;
    assert!(!events.contains("11111111-2222"), "{events}");
    // Three ids, two of them are taken.
    let ben = Person::learner(&bench, "ben").await;
    let run = ben.done("/labs/machines/launch", json!({})).await;
    assert_eq!(run["error"]["code"], "machines.none_free", "{run}");
    ann.done("/labs/machines/finish", json!({})).await;
    let run = ben.done("/labs/machines/launch", json!({})).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    // Those that were free the longest come first.
    assert_eq!(bench.output(&run, "terraform_apply")["outputs"]["vmids"], json!([700, 702]));
    let health = Person::operator(&bench).await.see("/health").await;
    assert_eq!(health["components"]["machines"]["status"], "healthy", "{health}");
}

#[tokio::test]
async fn a_machine_made_behind_our_back_is_found_and_removed() {
    let pve = TestPve::start().await;
    let bench = bench(&pve, "700-710").await;
    let operator = Person::operator(&bench).await;
    assert_eq!(operator.see("/orphans").await, json!({"data": []}), "a template is nobody's stray");
    let ann = Person::learner(&bench, "ann").await;
    ann.get("/orphans").await.refused(403, "auth.role_too_low");
    ann.done("/labs/machines/launch", json!({})).await;
    let session = ann.see("/labs/machines/session").await["id"].clone();
    for (vmid, name) in [(700, "of-ann"), (705, "of-nobody")] {
        pve.call("add_vm", json!([vmid, name]), json!({"status": "running"})).await;
    }
    let orphans = operator.see("/orphans").await["data"].clone();
    let brief = |orphan: &Value| json!([orphan["kind"], orphan["vmid"], orphan["name"], orphan["session"]]);
    let told: Vec<_> = orphans.as_array().unwrap().iter().map(brief).collect();
    assert_eq!(
        told,
        [json!(["not_in_state", 700, "of-ann", session]), json!(["not_in_state", 705, "of-nobody", null])]
    );
    let id = orphans[1]["id"].as_str().unwrap().to_owned();
    assert_eq!(operator.see("/orphans").await["data"][1]["id"], id, "it stays the same one");
    let path = format!("/orphans/{id}/delete");
    ann.post(&path, &json!({})).await.refused(403, "auth.role_too_low");
    let gone = operator.post(&path, &json!({})).await;
    assert_eq!((gone.status.as_u16(), &gone.body["vmid"]), (200, &json!(705)), "{}", gone.body);
    let left = Proxmox::new(options(&pve)).unwrap().machines().await.unwrap();
    assert!(left.iter().all(|machine| machine.vmid != 705) && left.len() == 2, "{left:?}");
    operator.post(&path, &json!({})).await.refused(404, "orphan.unknown");
    operator.post("/orphans/x/delete", &json!({})).await.refused(404, "orphan.unknown");
    pve.call("lose_quorum", json!([]), json!({})).await;
    let id = operator.see("/orphans").await["data"][0]["id"].as_str().unwrap().to_owned();
    let refused = operator.post(&format!("/orphans/{id}/delete"), &json!({})).await;
    refused.refused(503, "machines.unavailable");
}
