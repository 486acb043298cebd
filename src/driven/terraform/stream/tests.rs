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
