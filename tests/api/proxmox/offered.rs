//! The lab that makes a machine: offered where there is a cluster, and not where there is none.

use serde_json::{Value, json};

use crate::harness::TestPve;
use crate::labs::{Bench, Person};

const LAB: &str = "/labs/proxmox-vm";

async fn names(person: &Person<'_>) -> Vec<Value> {
    let cards = person.see("/labs").await;
    cards["data"].as_array().unwrap().iter().map(|card| card["name"].clone()).collect()
}

#[tokio::test]
async fn without_a_cluster_it_is_not_offered_and_refused_before_anything_is_made() {
    let bench = Bench::shipped().await;
    let (ann, operator) = (Person::learner(&bench, "ann").await, Person::operator(&bench).await);
    for person in [&ann, &operator] {
        assert_eq!(names(person).await, ["hello-terraform", "web-server"]);
        let refused = person.post(&format!("{LAB}/launch"), &json!({})).await;
        refused.refused(409, "machines.none");
        assert!(refused.body["detail"].as_str().unwrap().contains("proxmox.url"), "{}", refused.body);
        person.get(&format!("{LAB}/session")).await.refused(404, "session.none");
    }
    ann.post(&format!("{LAB}/reset"), &json!({})).await.refused(409, "machines.none");
    // Nor by the flow itself.
    let body = json!({"flow": "lab-launch", "input": {"lab": "proxmox-vm"}});
    let run = ann.done("/flow-manager", body).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("machines.none")), "{run}");
    ann.get(&format!("{LAB}/session")).await.refused(404, "session.none");
    assert_eq!(bench.directory("proxmox-vm"), None);
    assert!(bench.app.command(&["lab", "list"]).contains("(needs proxmox.url)"));
}

/// Its provider cannot be had on every machine that runs this, nor trust what a fingerprint alone names.
#[tokio::test]
async fn with_a_cluster_it_is_offered_and_a_launch_that_fails_leaves_nothing() {
    let pve = TestPve::start().await;
    let (url, fingerprint) = (pve.url(), pve.fingerprint());
    let settings = [
        ("FLOW_PROXMOX_URL", url.as_str()),
        ("FLOW_PROXMOX_TOKEN", TestPve::TOKEN),
        ("FLOW_PROXMOX_FINGERPRINT", fingerprint.as_str()),
        ("FLOW_TERRAFORM_INIT_TIMEOUT_S", "30"),
    ];
    let bench = Bench::shipped_with(&settings).await;
    let ann = Person::learner(&bench, "ann").await;
    assert_eq!(names(&ann).await, ["hello-terraform", "proxmox-vm", "web-server"]);
    let run = ann.done(&format!("{LAB}/launch"), json!({})).await;
    let code = run["error"]["code"].as_str().unwrap_or_default();
    assert!(code.starts_with("terraform."), "{run}");
    ann.get(&format!("{LAB}/session")).await.refused(404, "session.none");
    let machines = bench.events(run["id"].as_str().unwrap()).await;
    assert!(!machines.contains("11111111-2222"), "{machines}");
    assert_eq!(Person::operator(&bench).await.see("/orphans").await, json!({"data": []}));
}
