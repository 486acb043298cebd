//! Commands that call a service: what they print, and how they end.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{DEMO_PASSWORD, Terminal, TestApp};

const EMAIL: &str = "user3784mail@gmail.com";

/// With the service's address and its demo user in the environment.
fn command(app: &TestApp, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    command.args(arguments).env("FLOW_URL", &app.base).env("FLOW_EMAIL", EMAIL);
    command.env("FLOW_PASSWORD", DEMO_PASSWORD).env_remove("FLOW_DATABASE_URL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "colours in a pipe: {out}{err}");
    out.into_owned()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_flow_is_run_watched_and_told_of() {
    let app = TestApp::start().await;
    let watched = ended(&command(&app, &["run", "hello", "--input", r#"{"name":"Ada"}"#, "--watch"], ""), 0);
    let kinds: Vec<&str> = watched.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!((kinds.first(), kinds.contains(&"step.succeeded")), (Some(&"run.queued"), true), "{watched}");
    assert!(watched.lines().last().unwrap().ends_with(" succeeded"), "{watched}");

    let run: Value =
        serde_json::from_str(&ended(&command(&app, &["run", "hello", "--json"], ""), 0)).unwrap();
    assert_eq!((&run["status"], &run["flow"]), (&json!("succeeded"), &json!("hello")));

    let definition = r#"{"name":"posted","tasks":[{"name":"get","task":"fetch_data","input":{"url":"https://example.org/x"}}]}"#;
    let failed = ended(&command(&app, &["run", "@-"], definition), 1);
    assert!(failed.contains(" failed at get "), "{failed}");

    let runs = ended(&command(&app, &["runs", "--flow", "hello"], ""), 0);
    assert_eq!(runs.lines().filter(|line| line.contains("succeeded") && line.ends_with("hello")).count(), 2);
    let failed = ended(&command(&app, &["runs", "--status", "failed", "--json"], ""), 0);
    assert_eq!(serde_json::from_str::<Value>(failed.lines().next().unwrap()).unwrap()["flow"], "posted");
}

#[tokio::test]
async fn a_run_that_is_left_alone_can_be_asked_about_and_cancelled() {
    let app = TestApp::start().await;
    let nap = r#"{"name":"nap","tasks":[{"name":"nap","task":"sleep","input":{"seconds":600}}]}"#;
    let key = ["run", "@-", "--detach", "--key", "one"];
    let id = ended(&command(&app, &key, nap), 0);
    assert_eq!(ended(&command(&app, &key, nap), 0), id, "the same key is the same run");
    let id = id.trim();
    let why = ended(&command(&app, &["why", id], ""), 0);
    assert!(why.lines().next().unwrap().ends_with('.'), "{why}");
    let cancelled = ended(&command(&app, &["cancel", id], ""), 0);
    assert!(cancelled.starts_with(id), "{cancelled}");
    let over = command(&app, &["watch", id], "");
    assert!(ended(&over, 1).contains("run.cancelled"));
}

#[tokio::test]
async fn a_plan_names_steps_and_faults_and_starts_nothing() {
    let app = TestApp::start().await;
    let plan = ended(&command(&app, &["plan", "hello"], ""), 0);
    assert!(plan.lines().count() >= 2, "{plan}");
    let wrong = r#"{"name":"f","tasks":[{"name":"nop"}]}"#;
    assert!(ended(&command(&app, &["plan", "@-"], wrong), 1).starts_with("fault /"));
    assert_eq!(ended(&command(&app, &["runs"], ""), 0), "");
}

#[tokio::test]
async fn the_exit_status_says_what_went_wrong() {
    let app = TestApp::start().await;
    for (arguments, code, told) in [
        (vec!["run", "hello", "--input", "{"], 2, "the input is not JSON"),
        (vec!["run", "@/no/such/file"], 2, "cannot be read"),
        (vec!["why", "../users"], 2, "is no run's id"),
        (vec!["run", "helo"], 1, "did you mean \"hello\"?"),
        (vec!["why", "01a1feb9-df46-7658-89c5-590caf935ddc"], 1, "no such run"),
        (vec!["runs", "--server", "http://127.0.0.1:1"], 3, "does not answer"),
        (vec!["run", "hello", "--name", "passer-by"], 1, "sign in with"),
    ] {
        let output = command(&app, &arguments, "");
        // A name with a password would be an account's.
        if !arguments.contains(&"--name") {
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", complaint(&output));
            assert!(complaint(&output).contains(told), "{arguments:?}: {}", complaint(&output));
        }
    }
    for name in ["run", "runs", "why", "cancel", "plan", "watch", "backup", "restore", "user", "queue"] {
        let help = ended(&command(&app, &[name, "--help"], ""), 0);
        assert!(help.contains("Usage: flow-manager"), "{help}");
    }
}

#[tokio::test]
async fn somebody_who_looks_sees_how_far_it_is() {
    let app = TestApp::start().await;
    let file = app.state_dir().join("flow.json");
    let steps: Vec<Value> = (0..10)
        .map(|step| json!({"name": format!("s{step}"), "task": "sleep", "input": {"seconds": 1.5}}))
        .collect();
    std::fs::write(&file, json!({"name": "long", "tasks": steps}).to_string()).unwrap();
    let flow = format!("@{}", file.display());
    let program = env!("CARGO_BIN_EXE_flow-manager");
    let arguments = [program, "run", &flow, "--server", &app.base, "--email", EMAIL];
    let terminal = Terminal::start(&[("FLOW_PASSWORD", DEMO_PASSWORD)], &arguments);
    terminal.shows(" 30 % s3").await;
    let list = ended(&command(&app, &["runs"], ""), 0);
    let id = list.split(' ').next().unwrap();
    ended(&command(&app, &["cancel", id], ""), 0);
    terminal.ends().await;
}
