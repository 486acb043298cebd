//! Tasks as the adapter follows them, from look to look.

use flow_domain::labs::machines::{MachineTask, Machines, TaskFeed};
use flow_manager::driven::proxmox::Proxmox;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::options;
use super::slow::{Fault, SlowPve};
use crate::harness::TestPve;

/// The one task that there is.
async fn only(feed: &mut dyn TaskFeed) -> MachineTask {
    let mut tasks = feed.look().await.unwrap();
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    tasks.remove(0)
}

#[tokio::test]
async fn a_log_is_read_on_and_never_again() {
    let pve = SlowPve::start(2).await;
    let proxmox = Proxmox::new(pve.options()).unwrap();
    let mut feed = proxmox.follow(&[700], Timestamp::now());
    assert_eq!(feed.look().await.unwrap(), []);
    pve.guest(json!({"vmid": 700, "name": "web-1"}));
    let upid = pve.begin("qmclone", 9000);
    assert_eq!(feed.look().await.unwrap(), [], "an empty log does not say whose it is");
    let first = [
        "create full clone of drive scsi0 (local-lvm:base-9000-disk-0)",
        "  Logical volume \"vm-700-disk-0\" created.",
    ];
    pve.says(&upid, &first);
    pve.says(&upid, &["transferred 3.3 GiB of 8.0 GiB (41.00%)"]);
    let task = only(&mut *feed).await;
    assert_eq!((task.vmid, task.kind.as_str(), task.percent, &task.exit), (700, "qmclone", Some(20), &None));
    pve.says(&upid, &["transferred 8.0 GiB of 8.0 GiB (100.00%)"]);
    pve.says(&upid, &["create full clone of drive scsi1 (local-lvm:base-9000-disk-1)"]);
    assert_eq!(only(&mut *feed).await.percent, Some(50));
    assert_eq!(only(&mut *feed).await.percent, Some(50), "nothing new");
    pve.says(&upid, &["transferred 4.0 GiB of 8.0 GiB (50.00%)", "WARN: no room for a snapshot"]);
    assert_eq!(only(&mut *feed).await.percent, Some(75));
    pve.ends(&upid, "WARNINGS: 1");
    let task = only(&mut *feed).await;
    assert_eq!((task.exit.as_deref(), task.percent, task.failed()), (Some("WARNINGS: 1"), Some(100), false));
    assert_eq!(task.warnings, ["WARN: no room for a snapshot"]);
    only(&mut *feed).await;
    assert_eq!(pve.given(&upid), [0..3, 3..5, 5..7, 7..8]);
}

#[tokio::test]
async fn a_log_that_is_cut_is_read_anew_and_a_very_long_one_from_near_its_end() {
    let pve = SlowPve::start(1).await;
    let proxmox = Proxmox::new(pve.options()).unwrap();
    let mut feed = proxmox.follow(&[700], Timestamp::now());
    pve.guest(json!({"vmid": 700, "name": "web-1"}));
    let upid = pve.begin("qmmove", 700);
    pve.says(&upid, &["one", "two", "WARN: three", "transferred 1.0 GiB of 8.0 GiB (12.50%)"]);
    assert_eq!(only(&mut *feed).await.percent, Some(12));
    pve.trims(&upid, 1);
    only(&mut *feed).await;
    pve.says(&upid, &["transferred 2.0 GiB of 8.0 GiB (25.00%)"]);
    assert_eq!(only(&mut *feed).await.percent, Some(25));
    let flood: Vec<&str> = vec!["a line"; 100_000];
    pve.says(&upid, &flood);
    pve.says(&upid, &["transferred 4.0 GiB of 8.0 GiB (50.00%)"]);
    assert_eq!(only(&mut *feed).await.percent, Some(50));
    let lines: usize = pve.given(&upid).iter().map(|lines| lines.len()).sum();
    assert!(lines < 3000, "{lines} lines of 100,000");
}

#[tokio::test]
async fn whose_a_clone_is_is_told_by_its_log_or_by_a_lock() {
    let pve = SlowPve::start(1).await;
    let proxmox = Proxmox::new(pve.options()).unwrap();
    let began = Timestamp::now();
    pve.guest(json!({"vmid": 700, "name": "web-1"}));
    let anothers = pve.begin("qmclone", 9000);
    pve.says(&anothers, &["  Logical volume \"vm-800-disk-0\" created.", "transferred 1 of 2 (50.00%)"]);
    let nobodys = pve.begin("qmclone", 9000);
    pve.says(&nobodys, &["create full clone of drive scsi0 (zfs:base-9000-disk-0)"]);
    // Each feed looks at the machines first.
    let look = async || proxmox.follow(&[700, 701], began).look().await.unwrap();
    assert_eq!(look().await, [], "the one is another's, of the other nobody knows");
    pve.guest(json!({"vmid": 701, "name": "web-2", "lock": "clone"}));
    pve.guest(json!({"vmid": 800, "name": "other", "lock": "clone"}));
    assert_eq!(look().await, [], "two are being cloned");
    pve.guest(json!({"vmid": 800, "name": "other"}));
    let tasks = look().await;
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    let task = &tasks[0];
    assert_eq!((&task.upid, task.vmid, task.name.as_deref()), (&nobodys, 701, Some("web-2")));
    // What is another's is not read on.
    let mut feed = proxmox.follow(&[700], began);
    let calls = pve.given(&anothers).len();
    for _ in 0..2 {
        feed.look().await.unwrap();
    }
    assert_eq!(pve.given(&anothers).len(), calls + 1);
}

#[tokio::test]
async fn a_task_that_no_list_has_any_more_is_asked_how_it_ended() {
    let pve = SlowPve::start(1).await;
    let proxmox = Proxmox::new(pve.options()).unwrap();
    let mut feed = proxmox.follow(&[700], Timestamp::now());
    pve.guest(json!({"vmid": 700, "name": "web-1"}));
    let upid = pve.begin("qmstart", 700);
    assert!(only(&mut *feed).await.is_running());
    pve.forgets(&upid);
    assert!(only(&mut *feed).await.is_running());
    pve.ends(&upid, "storage 'x' full\u{1b}[31m\n");
    let task = only(&mut *feed).await;
    assert_eq!((task.exit.as_deref(), task.failed()), (Some("storage 'x' full [31m"), true));
}

#[tokio::test]
async fn a_cluster_with_another_time_tells_what_began_since_by_our_clock() {
    let pve = SlowPve::start(1).await;
    pve.guest(json!({"vmid": 700, "name": "web-1"}));
    for ahead in [-7200, 7200] {
        pve.ahead(ahead - 60);
        pve.begin("qmstop", 700);
        pve.ahead(ahead);
        let began = Timestamp::now();
        let proxmox = Proxmox::new(pve.options()).unwrap();
        let mut feed = proxmox.follow(&[700], began);
        assert_eq!(feed.look().await.unwrap(), [], "a minute ago: {ahead}");
        let upid = pve.begin("qmstart", 700);
        let task = only(&mut *feed).await;
        assert_eq!(task.upid, upid);
        let apart = task.started_at.duration_since(began).abs();
        assert!(apart < SignedDuration::from_secs(60), "{apart:?}");
        pve.forgets(&upid);
    }
}

#[tokio::test]
async fn a_look_that_fails_loses_nothing() {
    let pve = SlowPve::start(1).await;
    let proxmox = Proxmox::new(pve.options()).unwrap();
    let mut feed = proxmox.follow(&[700], Timestamp::now());
    pve.guest(json!({"vmid": 700, "name": "web-1"}));
    let upid = pve.begin("qmmove", 700);
    pve.says(&upid, &["transferred 1.0 GiB of 8.0 GiB (12.50%)"]);
    assert_eq!(only(&mut *feed).await.percent, Some(12));
    for fault in [Fault::Error500, Fault::Cut] {
        pve.fault(fault);
        pve.says(&upid, &["transferred 2.0 GiB of 8.0 GiB (25.00%)"]);
        assert_eq!(feed.look().await.unwrap_err().code, "machines.unavailable");
    }
    pve.fault(Fault::Hangs);
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(100), feed.look()).await;
    assert!(given_up.is_err());
    pve.fault(Fault::None);
    pve.says(&upid, &["transferred 4.0 GiB of 8.0 GiB (50.00%)"]);
    assert_eq!(only(&mut *feed).await.percent, Some(50));
    assert_eq!(pve.given(&upid).last(), Some(&(1..4)));
}

#[tokio::test]
async fn a_server_that_others_wrote_tells_the_same() {
    let pve = TestPve::start().await;
    let proxmox = Proxmox::new(options(&pve)).unwrap();
    let mut feed = proxmox.follow(&[700], Timestamp::now());
    assert_eq!(feed.look().await.unwrap(), []);
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().unwrap();
    let call = async |path: &str, body: serde_json::Value| {
        let request = client.post(format!("{}/api2/json/nodes/pve1/qemu/{path}", pve.url())).json(&body);
        let token = format!("PVEAPIToken={}", TestPve::TOKEN);
        let answer = request.header("Authorization", token).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        answer.json::<serde_json::Value>().await.unwrap()["data"].as_str().unwrap().to_owned()
    };
    let upid = call("9000/clone", json!({"newid": 700, "name": "web-1"})).await;
    let start = std::time::Instant::now();
    loop {
        let tasks = feed.look().await.unwrap();
        if let Some(task) = tasks.iter().find(|task| !task.is_running()) {
            let seen = (&task.upid, task.vmid, task.name.as_deref(), task.exit.as_deref());
            assert_eq!(seen, (&upid, 700, Some("web-1"), Some("OK")));
            break;
        }
        assert!(start.elapsed().as_secs() < 60, "{tasks:?}");
    }
    let upid = call("700/status/start", json!({})).await;
    while !feed.look().await.unwrap().iter().any(|task| task.upid == upid && task.kind == "qmstart") {
        assert!(start.elapsed().as_secs() < 120, "it never began");
    }
}
