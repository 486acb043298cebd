//! A backup, and a service brought back from nothing but it.

use std::fs;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::TestApp;

fn wipe(app: &TestApp) {
    for entry in fs::read_dir(app.state_dir()).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

fn refusal(app: &TestApp, arguments: &[&str]) -> String {
    let output = app.command_with(arguments, "");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_service_whose_state_directory_was_wiped_is_as_it_was() {
    // Its own database, in the state directory.
    let mut app = TestApp::start_with(&[("FLOW_DATABASE_URL", "")]).await;
    let token = app.login().await;
    let run = app.run_flow(&token, &json!("hello"), &json!({"name": "Ada"})).await.body;
    let path = run["links"]["self"].as_str().unwrap().to_owned();
    let run = app.get(&path, &token).await.body;
    let key = fs::read_to_string(app.state_dir().join("state.key")).unwrap();
    let desk = app.state_dir().join("workspaces/somebody");
    fs::create_dir_all(&desk).unwrap();
    fs::write(desk.join("work.txt"), "an afternoon's").unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("backup.tar");
    let file = file.to_str().unwrap();

    // Beside the running service.
    let output = app.command_with(&["backup", file, "--json"], "");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, json!({"file": file, "size_bytes": fs::metadata(file).unwrap().len()}));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "dumping the database\npacking\n");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing else is left there");
    assert!(refusal(&app, &["backup", file]).contains("is there already"));
    assert!(refusal(&app, &["restore", file]).contains("in use by"));

    app.terminate();
    assert!(
        refusal(&app, &["restore", file]).contains("already: a backup is brought back into an empty place")
    );
    wipe(&app);
    let output = app.command_with(&["restore", file], "");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("Restored as of "));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "unpacking\nfilling the database\n");
    app.restart().await;
    let after = app.get(&path, &token).await;
    assert_eq!(after.status, StatusCode::OK, "the token, signed with a key in the database, is still good");
    assert_eq!(after.body, run);
    assert_eq!(fs::read_to_string(app.state_dir().join("state.key")).unwrap(), key);
    assert_eq!(fs::read_to_string(desk.join("work.txt")).unwrap(), "an afternoon's");
    assert_eq!(app.run_flow(&token, &json!("hello"), &json!({})).await.body["status"], "succeeded");
}

#[tokio::test]
async fn without_its_key_a_backup_says_what_is_missing_and_another_key_is_refused() {
    let mut app = TestApp::start_with(&[("FLOW_DATABASE_URL", "")]).await;
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("backup.tar");
    let file = file.to_str().unwrap();
    app.command(&["backup", file, "--without-key"]);
    app.terminate();
    let key = fs::read_to_string(app.state_dir().join("state.key")).unwrap().trim().to_owned();

    wipe(&app);
    app.set("FLOW_STATE_KEY", &"ab".repeat(32));
    assert!(refusal(&app, &["restore", file]).contains("is not the key of the service that was backed up"));
    assert!(!app.state_dir().join("postgres").exists(), "nothing was begun");
    app.set("FLOW_STATE_KEY", "");
    let output = app.command_with(&["restore", file], "");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("has no key"));
    wipe(&app);
    app.set("FLOW_STATE_KEY", &key);
    let told: Value = serde_json::from_str(&app.command(&["restore", file, "--json"])).unwrap();
    assert!(told["at"].is_string() && told["note"].is_null(), "{told}");
    app.restart().await;
    app.login().await;
}

#[tokio::test]
async fn somebody_who_looks_sees_how_far_a_backup_is() {
    let app = TestApp::start().await;
    let place = tempfile::tempdir().unwrap();
    let command = format!("'{}' backup backup.tar", env!("CARGO_BIN_EXE_flow-manager"));
    // A terminal, of which every letter is kept.
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(place.path()).envs(app.settings());
    let output = script.stdin(std::process::Stdio::null()).output().unwrap();
    let screen = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{screen}");
    let bars: Vec<&str> = screen.split('\r').filter(|bar| bar.contains(" % ")).collect();
    assert!(bars.iter().any(|bar| bar.contains("  0 % dumping the database: 0 of ")), "{screen:?}");
    assert!(bars.iter().any(|bar| bar.contains("] 100 % dumping the database: ")), "{screen:?}");
    assert!(bars.iter().any(|bar| bar.contains(" % packing: ")), "{screen:?}");
    assert!(screen.trim_end().ends_with(" bytes"), "the bar goes away: {screen:?}");
}

#[tokio::test]
async fn what_is_no_backup_and_what_is_not_empty_is_refused() {
    let app = TestApp::start().await;
    let place = tempfile::tempdir().unwrap();
    let (file, other) = (place.path().join("backup.tar"), place.path().join("other"));
    app.command(&["backup", file.to_str().unwrap()]);
    let restore = |file: &std::path::Path, state: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flow-manager"));
        command.args(["restore", file.to_str().unwrap()]).envs(app.settings()).env("FLOW_STATE_DIR", state);
        String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned()
    };
    let told = restore(&file, &place.path().join("fresh"));
    assert!(told.contains("The database has tables already"), "{told}");
    fs::write(&other, "no backup").unwrap();
    let told = restore(&other, &place.path().join("fresh"));
    assert!(told.contains("is no backup that can be read"), "{told}");
    let _: Value = app.get("/livez", "").await.body;
}
