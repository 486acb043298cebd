//! What goes wrong on a cluster, and what its operator hears of it.

use flow_domain::Error;
use flow_domain::labs::machines::Machines;
use flow_manager::driven::proxmox::Proxmox;
use serde_json::{Value, json};

use super::{bench_with, options};
use crate::harness::TestPve;
use crate::labs::Person;

/// The part of the token that nobody may hear.
const SECRET: &str = "11111111-2222-3333-4444-555555555555";

/// A cluster with a machine and a container that run, 700 and 701.
async fn cluster() -> (TestPve, Proxmox) {
    let pve = TestPve::start().await;
    for (method, vmid) in [("add_vm", 700), ("add_ct", 701)] {
        pve.call(method, json!([vmid, format!("of-{vmid}")]), json!({"status": "running"})).await;
    }
    let proxmox = Proxmox::new(options(&pve)).unwrap();
    (pve, proxmox)
}

async fn fails(pve: &TestPve, method: &str, path: &str, how: Value) {
    pve.call("fail", json!([method, path]), how).await;
}

fn told(error: &Error) -> (&str, &str) {
    (error.code, error.public.as_str())
}

#[tokio::test]
async fn machines_and_containers_are_listed_and_removed_each_by_its_own_path() {
    let (pve, proxmox) = cluster().await;
    let mut ids: Vec<u32> = proxmox.machines().await.unwrap().iter().map(|machine| machine.vmid).collect();
    ids.sort_unstable();
    assert_eq!(ids, [700, 701, 9000]);
    for vmid in [700, 701, 701, 702] {
        proxmox.delete(vmid).await.unwrap();
    }
    let left = proxmox.machines().await.unwrap();
    assert!(left.len() == 1 && left[0].vmid == 9000, "{left:?}");
    let changes: Vec<_> = pve.seen().await.into_iter().filter(|seen| !seen.starts_with("GET ")).collect();
    let expected = [
        "POST /api2/json/nodes/pve1/qemu/700/status/stop",
        "DELETE /api2/json/nodes/pve1/qemu/700",
        "POST /api2/json/nodes/pve1/lxc/701/status/stop",
        "DELETE /api2/json/nodes/pve1/lxc/701",
    ];
    assert_eq!(changes, expected);
}

#[tokio::test]
async fn a_cluster_without_quorum_or_node_says_so_in_its_own_words() {
    let (pve, proxmox) = cluster().await;
    pve.call("lose_quorum", json!([]), json!({})).await;
    let quorum = "Proxmox VE cannot do it at the moment: cluster not ready - no quorum?";
    let error = proxmox.delete(700).await.unwrap_err();
    assert_eq!(told(&error), ("machines.unavailable", quorum));
    assert_eq!(proxmox.machines().await.unwrap().len(), 3, "it can be looked at all the same");
    pve.call("regain_quorum", json!([]), json!({})).await;
    pve.call("set_node_offline", json!(["pve1"]), json!({})).await;
    let error = proxmox.delete(700).await.unwrap_err();
    let away = "Proxmox VE cannot do it at the moment: No route to host.";
    assert_eq!(told(&error), ("machines.unavailable", away));
    pve.call("set_node_offline", json!(["pve1", false]), json!({})).await;
    proxmox.delete(700).await.unwrap();
}

#[tokio::test]
async fn errors_that_proxmox_names_are_passed_on() {
    let (pve, proxmox) = cluster().await;
    let stop = "/nodes/pve1/qemu/700/status/stop";
    fails(&pve, "POST", stop, json!({"error": "config_lock_timeout"})).await;
    let error = proxmox.delete(700).await.unwrap_err();
    let locked = "can't lock file '/var/lock/qemu-server/lock-700.conf' - got timeout";
    assert_eq!(error.code, "machines.unavailable");
    assert!(error.public.contains(locked), "{error}");
    fails(&pve, "POST", stop, json!({"error": "permission_denied"})).await;
    let error = proxmox.delete(700).await.unwrap_err();
    assert_eq!(error.code, "machines.forbidden");
    assert!(error.public.contains("Permission check failed"), "{error}");
    fails(&pve, "POST", stop, json!({"status": 500, "message": "first line\nsecond\u{7} line"})).await;
    let error = proxmox.delete(700).await.unwrap_err();
    assert!(error.public.ends_with(": first line second line."), "{error}");
}

#[tokio::test]
async fn a_task_that_fails_on_its_way_is_told_with_its_end() {
    let (pve, proxmox) = cluster().await;
    pve.call("hold_config_lock", json!([700, null]), json!({})).await;
    let error = proxmox.delete(700).await.unwrap_err();
    assert_eq!(error.code, "machines.failed");
    assert!(error.public.starts_with("Proxmox VE says: can't lock file"), "{error}");
    pve.call("release_config_lock", json!([700]), json!({})).await;
    proxmox.delete(700).await.unwrap();
}

#[tokio::test]
async fn whoever_says_the_token_again_is_not_quoted() {
    let (pve, proxmox) = cluster().await;
    let said = format!("no such token: root@pam!ci={SECRET}");
    fails(&pve, "GET", "/version", json!({"status": 500, "message": said})).await;
    let error = proxmox.check().await.unwrap_err();
    assert!(error.public.contains("no such token: root@pam!ci=***"), "{error}");
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    // A page of a proxy between is nobody's word.
    let page = format!("<html>Bad Gateway {SECRET}</html>");
    fails(&pve, "GET", "/version", json!({"status": 502, "message": page, "html": true})).await;
    let error = proxmox.check().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("<html>"), "{error:?}");
}

#[tokio::test]
async fn a_slow_network_is_waited_for_and_a_flaky_one_tried_again() {
    let (pve, proxmox) = cluster().await;
    // Ten seconds of the cluster's, which are half a second here.
    pve.call("slow_network", json!([10]), json!({})).await;
    assert_eq!(proxmox.machines().await.unwrap().len(), 3);
    pve.call("slow_network", json!([0]), json!({})).await;
    pve.call("flaky_network", json!([]), json!({"drop_rate": 0.5})).await;
    // Each try does a part of it, and the next one goes on from there.
    let mut tries = 0;
    while let Err(error) = proxmox.delete(700).await {
        assert!(["machines.unavailable", "machines.failed"].contains(&error.code), "{error}");
        tries += 1;
        assert!(tries < 500, "it never was removed: {error}");
    }
    pve.call("flaky_network", json!([]), json!({})).await;
    assert!(proxmox.machines().await.unwrap().iter().all(|machine| machine.vmid != 700));
}

#[tokio::test]
#[ignore = "waits 15 s for an answer that never comes"]
async fn an_answer_that_never_comes_is_given_up() {
    let (pve, proxmox) = cluster().await;
    let hangs = json!({"hang_rate": 1.0, "hang_secs": 20_000});
    pve.call("flaky_network", json!([]), hangs).await;
    let error = proxmox.check().await.unwrap_err();
    let away = "Proxmox VE does not answer as it should at the moment.";
    assert_eq!(told(&error), ("machines.unavailable", away));
}

#[tokio::test]
async fn an_operator_hears_the_cluster_and_nobody_the_token() {
    let pve = TestPve::start().await;
    let bench = bench_with(&pve, "700-710", &[("FLOW_LOG_LEVEL", "trace")]).await;
    let operator = Person::operator(&bench).await;
    pve.call("add_vm", json!([705, "of-nobody"]), json!({"status": "running"})).await;
    let orphans = operator.see("/orphans").await;
    let path = format!("/orphans/{}/delete", orphans["data"][0]["id"].as_str().unwrap());
    let mut heard = orphans.to_string();
    let mut hears = async |status: u16, code: &str, words: &str| {
        let answer = operator.post(&path, &json!({})).await;
        answer.refused(status, code);
        assert!(answer.body["detail"].as_str().unwrap().contains(words), "{}", answer.body);
        heard += &answer.body.to_string();
    };
    pve.call("lose_quorum", json!([]), json!({})).await;
    hears(503, "machines.unavailable", "cluster not ready - no quorum?").await;
    pve.call("regain_quorum", json!([]), json!({})).await;
    pve.call("set_node_offline", json!(["pve1"]), json!({})).await;
    hears(503, "machines.unavailable", "No route to host").await;
    pve.call("set_node_offline", json!(["pve1", false]), json!({})).await;
    let said = json!({"status": 403, "message": format!("root@pam!ci={SECRET} may not")});
    fails(&pve, "GET", "/cluster/resources", said).await;
    hears(403, "machines.forbidden", "root@pam!ci=*** may not").await;
    let gone = json!({"drop_rate": 1.0});
    pve.call("flaky_network", json!([]), gone).await;
    hears(503, "machines.unavailable", "does not answer").await;
    let health = operator.see("/health").await;
    assert_eq!(health["components"]["machines"]["status"], "degraded", "{health}");
    for text in [heard, health.to_string(), bench.app.log(), bench.app.db.dump().await] {
        assert!(!text.contains(SECRET), "{text}");
    }
}
