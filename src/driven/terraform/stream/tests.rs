use flow_domain::labs::machines::MachineTask;
use serde_json::json;

use super::*;

fn planned(addr: &str, action: &str) -> String {
    json!({"type": "planned_change", "@message": format!("{addr}: Plan"),
           "change": {"resource": {"addr": addr}, "action": action}})
    .to_string()
}

fn hook(kind: &str, addr: &str, action: &str) -> String {
    json!({"type": kind, "@message": format!("{addr}: {kind}"),
           "hook": {"resource": {"addr": addr}, "action": action}})
    .to_string()
}

fn percents(stream: &mut Stream, lines: &[String]) -> Vec<u8> {
    lines.iter().filter_map(|line| stream.read(line).progress).map(|(percent, _)| percent).collect()
}

#[test]
fn a_replaced_object_counts_twice_and_the_bar_never_goes_back() {
    let mut stream = Stream::new(0, Pace::default());
    let seen = percents(
        &mut stream,
        &[
            json!({"type": "version", "ui": "1.2"}).to_string(),
            planned("a", "replace"),
            planned("b", "create"),
            planned("c", "noop"),
            json!({"type": "change_summary", "@message": "Plan", "changes": {"operation": "plan"}})
                .to_string(),
            hook("apply_start", "a", "delete"),
            hook("apply_complete", "a", "delete"),
            hook("apply_progress", "b", "create"),
            hook("apply_complete", "b", "create"),
            hook("apply_complete", "a", "create"),
            hook("refresh_complete", "a", ""),
        ],
    );
    assert_eq!(seen, [3, 10, 10, 38, 66, 95, 95]);
}

#[test]
fn data_read_while_planning_is_no_progress_and_touches_nothing() {
    let mut stream = Stream::new(0, Pace::default());
    let seen = percents(
        &mut stream,
        &[hook("apply_start", "data.x.y", "read"), hook("apply_complete", "data.x.y", "read")],
    );
    assert!(seen.is_empty());
    assert!(!stream.touched());
    stream.read(&hook("apply_start", "a", "create"));
    assert!(stream.touched());
}

#[test]
fn outputs_are_those_with_a_value_that_are_not_sensitive() {
    let mut stream = Stream::new(0, Pace::default());
    stream.read(
        &json!({"type": "outputs", "outputs": {"a": {"sensitive": false, "action": "create"}}}).to_string(),
    );
    assert_eq!(stream.outputs(), json!({}));
    let outputs = json!({"a": {"sensitive": false, "value": [1]}, "b": {"sensitive": true, "value": "s"}});
    stream.read(&json!({"type": "outputs", "outputs": outputs}).to_string());
    assert_eq!(stream.outputs(), json!({"a": [1]}));
}

#[test]
fn only_a_missing_init_is_cured_by_init() {
    let error = |summary: &str| {
        json!({"type": "diagnostic", "diagnostic": {"severity": "error", "summary": summary, "detail": "why"}})
            .to_string()
    };
    let mut stream = Stream::new(0, Pace::default());
    assert!(!stream.needs_init());
    assert_eq!(stream.read(&error("Module not installed")).lines, ["Error: Module not installed", "why"]);
    assert!(stream.needs_init());
    stream.read(&error("Unclosed configuration block"));
    assert!(!stream.needs_init());
}

#[test]
fn another_major_version_of_the_format_is_noticed_and_plain_text_is_kept() {
    let mut stream = Stream::new(0, Pace::default());
    assert_eq!(stream.read("plain words").lines, ["plain words"]);
    stream.read(&json!({"type": "version", "ui": "2.0"}).to_string());
    assert_eq!(stream.unsupported(), Some("2.0"));
}

#[test]
fn an_object_that_is_removed_is_known_by_its_id() {
    let mut stream = Stream::new(0, Pace::default());
    for addr in ["proxmox_vm.a", "proxmox_vm.b"] {
        stream.read(&planned(addr, "delete"));
    }
    for (addr, id) in [("proxmox_vm.a", "700"), ("proxmox_vm.b", "701")] {
        let hook = json!({"resource": {"addr": addr}, "action": "delete", "id_key": "id", "id_value": id});
        let line = json!({"type": "apply_start", "@message": addr, "@timestamp": "2026-01-01T00:00:00Z", "hook": hook});
        stream.read(&line.to_string());
    }
    let now = Timestamp::from_second(1_767_225_602).unwrap();
    assert_eq!(stream.tick(now), None, "time alone tells nothing");
    let task = MachineTask {
        upid: "UPID:pve1:0:0:0:qmdestroy:701:fm@pve:".into(),
        vmid: 701,
        name: Some("web-2".into()),
        kind: "qmdestroy".into(),
        started_at: now,
        exit: None,
        percent: None,
        warnings: vec![],
    };
    stream.hear_machines(MachinesAtWork { vmids: vec![700, 701], tasks: vec![task] });
    assert_eq!(stream.tick(now).unwrap(), (10, "web-2: removing and 1 more, 1 of 2".to_owned()));
}
