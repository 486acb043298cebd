//! What programs read of the commands, and how these end.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::TestApp;

/// The program, with nothing of a service in its environment.
fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command.output().unwrap()
}

/// What `--help` lists.
fn help(path: &[String]) -> (String, Vec<String>) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let output = program(&arguments);
    assert!(output.status.success(), "{path:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let listed = text.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
    // Commands are indented by two; what a long text goes on with, by more.
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let names = names.map(str::to_owned).collect();
    (text, names)
}

#[test]
fn every_command_that_prints_something_can_print_json_and_says_what_it_takes() {
    let mut left: Vec<Vec<String>> = vec![vec![]];
    let mut seen = Vec::new();
    while let Some(path) = left.pop() {
        let (text, inner) = help(&path);
        if inner.is_empty() {
            let name = path.join(" ");
            // These log, or say nothing.
            let silent = ["serve", "work", "health"].contains(&name.as_str());
            assert_eq!(text.contains("--json"), !silent, "{name}:\n{text}");
            assert!(text.lines().next().is_some_and(|line| !line.starts_with("Usage")), "{name}:\n{text}");
            seen.push(name);
        }
        left.extend(inner.into_iter().map(|name| [path.clone(), vec![name]].concat()));
    }
    assert!(seen.len() > 20 && seen.contains(&"queue dead list".to_owned()), "{seen:?}");
}

fn lines(app: &TestApp, arguments: &[&str]) -> Vec<Value> {
    app.command(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn commands_of_operators_answer_programs() {
    let app = TestApp::start().await;
    let made = lines(&app, &["user", "add", "--username", "zoe", "--role", "operator", "--json"]).remove(0);
    assert_eq!(made["password"].as_str().map(str::len), Some(24), "{made}");
    let expected = json!({"id": made["id"], "email": null, "username": "zoe", "name": null, "role": "operator", "disabled": true});
    assert_eq!(lines(&app, &["user", "disable", "zoe", "--json"]).remove(0), expected);
    assert!(lines(&app, &["user", "--json", "list"]).contains(&expected));

    let keys = lines(&app, &["key", "rotate", "--json"]);
    let states: Vec<_> = keys.iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["waits", "signs"], "{keys:?}");
    assert_eq!(lines(&app, &["key", "list", "--json"]), keys);

    let labs = lines(&app, &["lab", "list", "--json"]);
    let hello = labs.iter().find(|lab| lab["name"] == "hello-terraform").unwrap();
    assert!(hello["minutes"].is_u64() && hello["version"].as_str().unwrap().len() == 64, "{hello}");
    let report = lines(&app, &["lab", "check", "config/labs/hello-terraform", "--json"]).remove(0);
    assert_eq!((&report["lab"]["name"], &report["faults"]), (&json!("hello-terraform"), &json!([])));
    let output = app.command_with(&["lab", "check", "config/flows", "--json"], "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["lab"]), (Some(1), &json!(null)));
    assert!(!report["faults"].as_array().unwrap().is_empty());

    let mut migrate = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    migrate
        .args(["migrate", "--json"])
        .envs(app.settings())
        .env("FLOW_STATE_DIR", app.state_dir().join("other"));
    let output = migrate.output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!({"applied": []}));
    assert!(lines(&app, &["queue", "dead", "list", "--json"]).is_empty());
    // The port is the service's, which runs.
    let output = app.command_with(&["check", "--json"], "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let part =
        |name: &str| report["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap();
    assert_eq!((output.status.code(), &part("address")["state"]), (Some(1), &json!("failed")));
    assert_eq!(part("flows")["state"], "ok");
    let settings = report["settings"].as_array().unwrap();
    let port = settings.iter().find(|setting| setting["name"] == "server.port").unwrap();
    assert_eq!(port["origin"], "FLOW_SERVER_PORT");
    assert!(!report.to_string().contains(&app.db.url()), "secrets are masked");
}

#[tokio::test]
async fn a_run_is_watched_and_a_room_is_read_as_json() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let run = app.run_flow(&token, &json!("hello"), &json!({})).await.body;
    let sign_in = ["--server", &app.base, "--email", "user3784mail@gmail.com"];
    let mut watch = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    watch.args(["watch", run["id"].as_str().unwrap(), "--json"]).args(sign_in);
    let output = watch.env("FLOW_PASSWORD", crate::harness::DEMO_PASSWORD).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let events = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["type"], "run.succeeded", "{events:?}");

    app.post("/room/lobby", &token, &json!({"text": "hello"})).await;
    let line = app.state_dir().join("line");
    std::fs::write(&line, "and this\n").unwrap();
    let mut chat = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    chat.args(["chat", "lobby", "--json", "--server", &app.base]).stdin(std::fs::File::open(line).unwrap());
    let output = chat.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages: Vec<Value> = messages.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = messages.iter().map(|message| (&message["room"], &message["text"])).collect();
    assert_eq!(said, [(&json!("lobby"), &json!("hello")), (&json!("lobby"), &json!("and this"))]);
}

#[test]
fn nobody_who_answers_and_a_wrong_argument_are_told_apart_everywhere() {
    let nowhere = ["--server", "http://127.0.0.1:1"];
    let id = "01a1feb9-df46-7658-89c5-590caf935ddc";
    let calls: [&[&str]; 7] = [
        &["run", "hello"],
        &["runs"],
        &["why", id],
        &["cancel", id],
        &["plan", "hello"],
        &["watch", id],
        &["chat", "lobby"],
    ];
    for call in calls {
        let output = program(&[call, &nowhere].concat());
        assert_eq!(output.status.code(), Some(3), "{call:?}: {output:?}");
    }
    for wrong in [&["watch", "nonsense"][..], &["why", "nonsense"], &["nonsense"], &["health", "--work"]] {
        let output = program(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {output:?}");
    }
    let there = program(&["task", "new", "hello", "--dir", "/no/such/folder"]);
    assert_eq!(there.status.code(), Some(1), "{there:?}");
}
