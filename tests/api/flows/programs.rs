//! Tasks in other languages: the examples of docs/examples in a running service.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{begin, ended, seen, start};
use crate::harness::{Answer, TestApp};

const PATIENCE: Duration = Duration::from_secs(60);

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name)
}

async fn service() -> TestApp {
    let (python, shell) = (example("word_count.py"), example("make_note.sh"));
    let list = format!("word_count={},make_note={},sh=/bin/sh", python.display(), shell.display());
    TestApp::start_with(&[("FLOW_EXEC_ALLOW", &list)]).await
}

fn counted(text: &str, keep: &Path, more: &[Value]) -> Value {
    let count = json!({"name": "count", "task": "program", "input":
        {"program": "word_count", "undo": true, "input": {"text": text, "keep": keep}}});
    let tasks = [vec![count], more.to_vec()].concat();
    json!({"name": "counted", "tasks": tasks})
}

fn note(folder: &Path, seconds: u32, attempts: u32) -> Value {
    json!({"name": "note", "task": "program", "attempts": attempts, "input":
        {"program": "make_note", "undo": true, "input": {"folder": folder, "text": "hello", "seconds": seconds}}})
}

fn fails() -> Value {
    let said = "echo '@fail_clean it.broke It was to break.'";
    json!({"name": "fails", "task": "program", "input": {"program": "sh", "args": ["-c", said]}})
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

async fn run(app: &TestApp, token: &str, flow: Value) -> Answer {
    start(app, token, &json!({"flow": flow}), &[("Prefer", "wait=60")]).await
}

#[tokio::test]
async fn python_says_what_it_made_and_takes_it_back() {
    let (app, dir) = (service().await, tempfile::tempdir().unwrap());
    let (token, keep) = (app.login().await, dir.path().join("counts.json"));
    let done = run(&app, &token, counted("one two\nthree", &keep, &[])).await.body;
    assert_eq!(done["tasks"][0]["output"], json!({"output": {"words": 3, "lines": [2, 1]}}), "{done}");
    let kept: Value = serde_json::from_slice(&std::fs::read(&keep).unwrap()).unwrap();
    assert_eq!(kept["key"], format!("{}/count", done["id"].as_str().unwrap()));
    let events =
        app.get(&format!("{}?after=0", done["links"]["events"].as_str().unwrap()), &token).await.body;
    let of = |kind: &str| {
        let all = events["events"].as_array().unwrap().iter();
        all.filter(|event| event["type"] == kind).map(|event| event["data"].to_string()).collect::<String>()
    };
    assert!(of("progress").contains("line 2 of 2") && of("output").contains("run's log"), "{events}");
    assert!(!of("output").contains("@output"), "what it says to us is not its log: {events}");

    let undone = run(&app, &token, counted("one", &keep, &[fails()])).await.body;
    assert_eq!(
        (&undone["status"], &undone["error"]["code"]),
        (&json!("undone"), &json!("it.broke")),
        "{undone}"
    );
    assert!(!keep.exists(), "it was taken back");
    let clean = run(&app, &token, counted("", &keep, &[])).await.body;
    assert_eq!(
        (&clean["status"], &clean["error"]["code"]),
        (&json!("failed"), &json!("words.no_text")),
        "{clean}"
    );
}

#[tokio::test]
async fn shell_is_tried_again_when_it_says_so() {
    let (app, dir) = (service().await, tempfile::tempdir().unwrap());
    let (token, folder) = (app.login().await, dir.path().join("notes"));
    let path = begin(&app, &token, &json!({"name": "noted", "tasks": [note(&folder, 0, 20)]})).await;
    seen(&app, &token, &path, |run| {
        run["tasks"][0]["attempt"].as_i64() >= Some(1) && run["status"] == "waiting"
    })
    .await;
    std::fs::create_dir(&folder).unwrap();
    let done = ended(&app, &token, &path).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let made = done["tasks"][0]["output"]["output"]["path"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(made).unwrap(), "hello\n");
    let undone =
        run(&app, &token, json!({"name": "noted", "tasks": [note(&folder, 0, 1), fails()]})).await.body;
    assert_eq!(
        (&undone["status"], files(&folder)),
        (&json!("undone"), 1),
        "only the first note is left: {undone}"
    );
}

#[tokio::test]
async fn a_cancel_is_a_sigint_and_then_the_undo() {
    let (app, dir) = (service().await, tempfile::tempdir().unwrap());
    let token = app.login().await;
    let path = begin(&app, &token, &json!({"name": "noted", "tasks": [note(dir.path(), 1000, 1)]})).await;
    let begun = Instant::now();
    while files(dir.path()) == 0 {
        assert!(begun.elapsed() < PATIENCE, "it never started");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.post(&format!("{path}/cancel"), &token, &json!({})).await;
    let run = ended(&app, &token, &path).await;
    assert_eq!((&run["status"], files(dir.path())), (&json!("cancelled"), 0), "{run}");
}

#[tokio::test]
async fn it_is_followed_when_its_service_dies_and_not_started_again() {
    let (mut app, dir) = (service().await, tempfile::tempdir().unwrap());
    let (token, folder) = (app.login().await, dir.path().to_owned());
    let (starts, go) = (folder.join("starts"), folder.join("go"));
    let script = format!(
        "echo x >> {}; while [ ! -e {} ]; do sleep 0.05; done; echo '@output {{\"n\": 7}}'",
        starts.display(),
        go.display()
    );
    let flow = json!({"name": "one", "tasks": [
        {"name": "it", "task": "program", "input": {"program": "sh", "args": ["-c", script]}}]});
    let path = begin(&app, &token, &flow).await;
    let begun = Instant::now();
    while !starts.exists() {
        assert!(begun.elapsed() < PATIENCE, "it never started");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    app.kill_and_restart().await;
    std::fs::write(&go, "").unwrap();
    let run = ended(&app, &app.login().await, &path).await;
    assert_eq!(run["tasks"][0]["output"], json!({"output": {"n": 7}}), "{run}");
    assert_eq!(std::fs::read_to_string(&starts).unwrap(), "x\n");
}

#[tokio::test]
async fn what_it_says_wrongly_fails_the_step_and_what_is_not_listed_is_planned() {
    let app = service().await;
    let token = app.login().await;
    let said = async |text: &str| {
        let step = json!({"name": "it", "task": "program", "input": {"program": "sh", "args": ["-c", text]}});
        run(&app, &token, json!({"name": "one", "tasks": [step]})).await.body["error"].clone()
    };
    let error = said("echo '@progress many'").await;
    assert_eq!(error["code"], "program.line_invalid", "{error}");
    assert_eq!(said("echo no luck >&2; exit 4").await["code"], "program.failed");
    let flow =
        json!({"name": "one", "tasks": [{"name": "it", "task": "program", "input": {"program": "rm"}}]});
    let plan = app.post("/flow-manager?plan=true", &token, &json!({"flow": flow})).await.body;
    assert_eq!(plan["faults"][0]["code"], "program.not_allowed", "{plan}");
    assert_eq!(plan["faults"][0]["pointer"], "/flow/tasks/0", "{plan}");
}
