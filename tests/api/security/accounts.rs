//! Accounts by the command line, beside a running service and over its database.

use serde_json::json;

use super::{PASSWORD, access, start};
use crate::harness::{Answer, Terminal, TestApp};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flow-manager");

async fn login(app: &TestApp, email: &str, password: &str) -> Answer {
    app.post("/auth/login", "", &json!({"email": email, "password": password})).await
}

/// The line of an account: id, role, address, username, state.
fn fields(line: &str) -> Vec<&str> {
    line.trim().split(' ').collect()
}

fn failed(app: &TestApp, arguments: &[&str], input: &str) -> String {
    let done = app.command_with(arguments, input);
    assert_eq!(done.status.code(), Some(1), "{arguments:?}");
    assert!(done.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(done.stderr).unwrap()
}

#[tokio::test]
async fn an_account_is_made_changed_and_closed_and_the_service_goes_by_it() {
    let app = start().await;
    let add = ["user", "add", "--email", "ada@example.org", "--role", "admin", "--password-stdin"];
    let made = app.command_with(&add, &format!("{PASSWORD}\nnot this\n"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let line = String::from_utf8(made.stdout).unwrap();
    assert_eq!(fields(&line)[1..], ["admin", "ada@example.org", "-", "enabled"]);
    let ada = login(&app, "ada@example.org", PASSWORD).await.body;
    assert_eq!((&ada["user"]["role"], &ada["user"]["id"]), (&json!("admin"), &json!(fields(&line)[0])));

    let all = app.command(&["user", "list"]);
    assert!(all.lines().any(|one| one == line.trim()), "{all}");
    let changed = app.command(&["user", "role", "ADA@example.org", "learner"]);
    assert_eq!(fields(&changed)[1], "learner");
    super::until("the old role's token ends", async || app.get("/me", access(&ada)).await.status == 401)
        .await;
    let again = login(&app, "ada@example.org", PASSWORD).await.body;
    app.get("/users", access(&again)).await.refused(403, "auth.role_too_low");

    let id = again["user"]["id"].as_str().unwrap();
    assert_eq!(fields(&app.command(&["user", "disable", id]))[4], "disabled");
    login(&app, "ada@example.org", PASSWORD).await.refused(401, "auth.refused");
    super::until("its token ends", async || app.get("/me", access(&again)).await.status == 401).await;
    assert_eq!(fields(&app.command(&["user", "enable", id]))[4], "enabled");
    assert_eq!(login(&app, "ada@example.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_password_is_made_where_nobody_can_be_asked() {
    let app = start().await;
    // What a script has on its standard input is its own.
    let made = app.command_with(&["user", "add", "--username", "bob"], "a line of some list\n");
    let shown = String::from_utf8(made.stdout).unwrap();
    let password = shown.lines().find_map(|line| line.strip_prefix("password ")).unwrap();
    assert_eq!(password.len(), 24);
    let body = json!({"username": "bob", "password": password});
    assert_eq!(app.post("/login", "", &body).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_done_is_a_sentence_and_a_failure() {
    let app = start().await;
    let add = |more: &[&str], input: &str| {
        failed(&app, &[&["user", "add", "--password-stdin"], more].concat(), input)
    };
    assert!(add(&["--email", "ada@example.org"], "").contains("no password on standard input"));
    let faults = add(&["--email", "nowhere", "--username", "a b"], "password1\n");
    assert!(faults.contains("e-mail") && faults.contains("32"), "{faults}");
    assert!(!faults.contains("password1"), "{faults}");
    assert!(add(&[], PASSWORD).contains("e-mail address or a username"));
    assert!(add(&["--email", "user3784mail@gmail.com"], PASSWORD).contains("Another user"));
    for nobody in ["nobody@example.org", "nobody", "01900000-0000-7000-8000-000000000000"] {
        let sentence = failed(&app, &["user", "disable", nobody], "");
        assert!(sentence.contains("There is no"), "{sentence}");
    }
    let wrong = app.command_with(&["user", "role", "user3784mail@gmail.com", "system"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(app.get("/me", &app.login().await).await.body["role"], "operator");
}

#[tokio::test]
async fn a_typed_password_is_asked_for_twice_and_not_shown() {
    let app = start().await;
    let settings: Vec<(&str, &str)> = app.settings().collect();
    // The shell keeps the terminal for as long as somebody reads it.
    let script = r#""$0" user add --email ada@example.org; echo "ended $?"; read -r _"#;
    let type_both = async |second: &str| {
        let terminal = Terminal::start(&settings, &["sh", "-c", script, PROGRAM]);
        terminal.shows("Password (none: one is made):").await;
        terminal.types(PASSWORD);
        terminal.shows("Once more:").await;
        terminal.types(second);
        terminal.shows("ended ").await;
        terminal.screen()
    };
    let screen = type_both("something else").await;
    assert!(screen.contains("The two passwords differ.") && screen.contains("ended 1"), "{screen}");
    assert!(!screen.contains(PASSWORD) && !screen.contains("something else"), "{screen}");
    let screen = type_both(PASSWORD).await;
    assert!(screen.contains("learner ada@example.org - enabled") && screen.contains("ended 0"), "{screen}");
    assert!(!screen.contains(PASSWORD), "{screen}");
    assert_eq!(login(&app, "ada@example.org", PASSWORD).await.status, 200);
}

/// A password that nobody can see is lost, but the account is made, and the program does not fall over.
#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let app = start().await;
    let mut add = std::process::Command::new(PROGRAM);
    add.args(["user", "add", "--username", "bob"]).envs(app.settings()).stdin(std::process::Stdio::null());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done = add.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(app.command(&["user", "list"]).contains(" learner - bob enabled"));
}
