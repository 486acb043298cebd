//! The console client: in a terminal, and in a pipe.

use std::path::PathBuf;
use std::process::Stdio;

use flow_domain::users::Role;
use serde_json::json;

use super::{PATIENCE, say, start, token_of};
use crate::harness::{DEMO_PASSWORD, Terminal, TestApp};

const EMAIL: &str = "user3784mail@gmail.com";
const PROGRAM: &str = env!("CARGO_BIN_EXE_flow-manager");

fn chat<'a>(app: &'a TestApp, room: &'a str) -> [&'a str; 7] {
    [PROGRAM, "chat", room, "--server", &app.base, "--email", EMAIL]
}

#[tokio::test]
async fn in_a_terminal_one_joins_talks_survives_a_restart_and_leaves() {
    let mut app = start().await;
    let other = token_of(Role::Anonymous, Some("tim"));
    say(&app, &other, "lobby", "said before").await;
    let terminal = Terminal::start(&[("FLOW_PASSWORD", DEMO_PASSWORD)], &chat(&app, "lobby"));
    terminal.shows("lobby | signed in as Demo (operator)").await;
    terminal.shows("tim: said before").await;
    terminal.types("hello from the terminal");
    terminal.shows("user-00003784: hello from the terminal").await;
    say(&app, &other, "lobby", "said live").await;
    terminal.shows("tim: said live").await;
    terminal.types("/who");
    terminal.shows("* In lobby: user-00003784.").await;

    app.kill_and_restart().await;
    say(&app, &other, "lobby", "said after the restart").await;
    terminal.shows("tim: said after the restart").await;
    let screen = terminal.screen();
    assert_eq!(screen.matches("said live").count(), 1, "nothing is shown twice:\n{screen}");

    terminal.types("/join other");
    terminal.shows("* You left lobby.").await;
    terminal.shows("other | signed in as").await;
    terminal.types("/leave");
    terminal.shows("no room | signed in as").await;
    terminal.types("to nobody");
    terminal.shows("* You are in no room: /join ROOM.").await;
    terminal.types("/quit");
    terminal.ends().await;
    let present = app.get("/room/other/who", &other).await.body;
    assert_eq!(present, json!({"users": []}));
}

#[tokio::test]
async fn in_a_pipe_lines_go_in_and_come_out() {
    let app = start().await;
    say(&app, &token_of(Role::Anonymous, Some("tim")), "lobby", "said before").await;
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    std::fs::write(&input, "one\n//two\n\n/nonsense\n").unwrap();
    let command = [&chat(&app, "lobby")[1..], &["--plain"]].concat();
    let output = run(&command, Some(input)).await;
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines, "tim: said before\nuser-00003784: one\nuser-00003784: /two\n");
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && notes.contains("There is no command /nonsense"), "{notes}");
}

#[tokio::test]
async fn what_cannot_be_joined_is_a_sentence_and_a_failure() {
    let app = start().await;
    let refused = run(&[&chat(&app, "no/such room")[1..], &["--plain"]].concat(), None).await;
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{sentence}");
    assert!(sentence.contains("A room's name is 1 to 64"), "{sentence}");
    let nobody = run(&["chat", "lobby", "--plain", "--server", "http://127.0.0.1:1"], None).await;
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("does not answer"));
    assert_eq!(nobody.status.code(), Some(3));
}

#[tokio::test]
async fn a_run_is_watched_to_its_end() {
    let app = start().await;
    let token = app.login().await;
    let nap = json!({"name": "nap", "tasks": [{"name": "sleep", "input": {"seconds": 1}}, {"name": "noop"}]});
    let request = app.request(reqwest::Method::POST, "/flow-manager").bearer_auth(&token);
    let request = request.header("Prefer", "respond-async").json(&json!({"flow": nap}));
    let run_id = crate::harness::Answer::to(request).await.body["id"].as_str().unwrap().to_owned();
    let output = run(&["watch", &run_id, "--server", &app.base, "--email", EMAIL], None).await;
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{lines}");
    assert!(lines.lines().last().unwrap().contains("run.succeeded"), "{lines}");
    assert_eq!(lines.matches("step.succeeded").count(), 2, "{lines}");
}

async fn run(arguments: &[&str], input: Option<PathBuf>) -> std::process::Output {
    let mut program = tokio::process::Command::new(PROGRAM);
    program.args(arguments).env("FLOW_PASSWORD", DEMO_PASSWORD).kill_on_drop(true);
    match input {
        Some(file) => program.stdin(std::fs::File::open(file).unwrap()),
        // Nothing to say, and no end of it.
        None => program.stdin(Stdio::piped()),
    };
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = program.spawn().unwrap();
    tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends in time").unwrap()
}
