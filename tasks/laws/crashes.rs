//! Every shipped task and every shipped flow is killed at every write, and ends as if it had not been.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use flow_domain::flows::{Registry, Task};
use flow_domain::openid::{Profile, Shown, Subject};
use flow_domain::testing::{CrashTable, CrashTest, FailsForGood, TestContext, crash_after_each_checkpoint};
use flow_domain::users::Role;
use serde_json::{Value, json};

use super::shipped::{aliases, config, read};
use crate::all;

/// A directory that was made in the moment of a death is not known as the run's own when it is taken back, and an
/// empty one too many does less harm than a learner's work lost.
const UNHEARD: &str = "an empty directory stays";

fn registry() -> Arc<Registry> {
    let tasks = all().into_iter().chain([Arc::new(FailsForGood) as Arc<dyn Task>]).collect();
    Arc::new(Registry::new(tasks).expect("the registry takes all tasks"))
}

/// A machine, a lab, a dataset, a network and somebody whom the provider knows. The caller is a learner.
fn world() -> TestContext {
    let test = TestContext::new().with_machine();
    test.http.answer("POST", "https://h/things", 201, &[("content-type", "application/json")], "{}");
    test.http.answer("GET", "https://h/things", 200, &[("content-type", "application/json")], "[{\"a\": 1}]");
    test.tokens.put(
        "good",
        Profile {
            subject: ada(),
            email: Some("ada@example.org".into()),
            email_verified: true,
            name: Some("Ada".into()),
        },
    );
    test
}

fn systems() -> TestContext {
    let mut test = world();
    test.caller.role = Role::System;
    test
}

fn ada() -> Subject {
    Subject { issuer: "https://id.example.org".into(), subject: "ada".into() }
}

fn sealed() -> String {
    let shown = Shown { access_token: "good".into(), id_token: None };
    TestContext::new().ports.access_tokens.seal(shown).expect("it can be sealed")
}

/// A flow of these tasks, each a step of its name.
fn flow(steps: &[(&str, Value)]) -> Value {
    let tasks: Vec<Value> = steps.iter().map(|(task, input)| json!({"name": task, "input": input})).collect();
    let names: Vec<&str> = steps.iter().map(|(task, _)| *task).collect();
    json!({"name": names.join(" → "), "tasks": tasks})
}

fn web() -> Value {
    json!({"lab": "web"})
}

/// A lab that its learner works in.
fn built() -> Value {
    let steps = ["create_directory", "open_session", "terraform_apply", "ready_session"];
    flow(&steps.map(|task| (task, web())))
}

/// The task, what it is given, and what has to be there before.
fn tasks() -> Vec<(&'static str, Value, Vec<Value>)> {
    let one = |task, input| (task, input, vec![]);
    let opened = || flow(&[("open_session", web())]);
    let profile = json!({"sealed": sealed(), "issuer": ada().issuer, "subject": "ada"});
    vec![
        one("auth_check", json!({"role": "learner"})),
        ("check_step", json!({"lab": "web", "step": 1}), vec![built()]),
        ("close_session", web(), vec![built(), flow(&[("terraform_destroy", web())])]),
        one("create_directory", web()),
        one("exec", json!({"program": "date", "args": ["-u"]})),
        one("fetch_data", json!({"url": "https://h/things"})),
        one("find_user", json!({"user": "${caller.id}"})),
        ("grade", web(), vec![built()]),
        one("http_request", json!({"method": "POST", "url": "https://h/things", "body": {"a": 1}})),
        (
            "ingest_load",
            json!({"file": 1, "chunk": 0}),
            vec![flow(&[("ingest_scan", json!({"dataset": "things"}))])],
        ),
        one("ingest_scan", json!({"dataset": "things"})),
        one("ingest_wait", json!({})),
        one("noop", json!({"value": 1})),
        one("oauth_profile", profile),
        one("open_session", web()),
        one("prepare_directories", json!({"user": "${caller.id}"})),
        one("process_data", json!({"rows": [{"a": 1}]})),
        one("program", json!({"program": "count", "input": {"a": 1}, "undo": true})),
        one("publish_event", json!({"topic": "a.made", "key": "k"})),
        ("ready_session", web(), vec![opened()]),
        ("remove_directory", web(), vec![flow(&[("create_directory", web())])]),
        one("sleep", json!({"seconds": 90})),
        one("store_data", json!({"dataset": "kept", "rows": [{"a": 1}, {"a": 2}]})),
        ("terraform_apply", web(), vec![opened()]),
        ("terraform_destroy", web(), vec![built()]),
        one("verify_oauth_token", json!({"sealed": sealed()})),
    ]
}

/// As it is, and with a step that fails behind it.
fn both(make: impl Fn() -> CrashTest) -> [CrashTest; 2] {
    [make(), make().that_fails()]
}

fn tried(tests: Vec<CrashTest>) -> CrashTable {
    let table = CrashTable(tests.iter().map(crash_after_each_checkpoint).collect());
    println!("{table}");
    table
}

#[test]
fn every_task_survives_a_death_at_each_of_its_writes() {
    let registry = registry();
    let mut tests = Vec::new();
    for (task, input, before) in tasks() {
        let whose = if task == "publish_event" { systems } else { world };
        tests.extend(both(|| {
            let test = CrashTest::over(flow(&[(task, input.clone())]), registry.clone());
            let test = test.in_world(whose).tolerates("directories", UNHEARD);
            before.iter().fold(test, |test, flow| test.after(flow.clone(), json!({})))
        }));
    }
    // It is given what another task has made.
    let graded =
        flow(&[("grade", web()), ("store_grade", json!({"lab": "web", "grade": "${tasks.grade.output}"}))]);
    tests.extend(both(|| {
        CrashTest::over(graded.clone(), registry.clone()).in_world(world).after(built(), json!({}))
    }));
    let table = tried(tests);
    assert!(table.0.iter().all(|row| row.deaths() == 2 * row.boundaries + row.within));

    let named: BTreeSet<&str> = tasks().iter().map(|(task, ..)| *task).chain(["store_grade"]).collect();
    let all = all();
    let left_out =
        all.iter().map(|task| task.name()).filter(|name| !named.contains(name) && !tries_itself(name));
    let left_out: Vec<&str> = left_out.collect();
    assert!(
        left_out.is_empty(),
        "add what these are given to tasks() above, or a test to their files: {left_out:?}"
    );
}

/// Its own file has such a test.
fn tries_itself(name: &str) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.rs"));
    fs::read_to_string(file).is_ok_and(|text| text.contains("crash_after_each_checkpoint("))
}

#[test]
fn every_flow_survives_a_death_at_each_of_its_writes() {
    let registry = registry();
    let mut tests = Vec::new();
    for file in fs::read_dir(config("flows")).expect("the folder of flows").flatten() {
        let definition: Value = read(file.path());
        let name = definition["name"].as_str().expect("a flow has a name").to_owned();
        let input = match name.as_str() {
            "ingest" => json!({"dataset": "things"}),
            "ingest-chunk" => json!({"file": 1, "chunk": 0}),
            "user-create" => json!({"sealed": sealed()}),
            "user-onboard" => json!({"user": "01970000-0000-7000-8000-000000003784"}),
            "lab-check" => json!({"lab": "web", "step": 1}),
            name if name.starts_with("lab-") => web(),
            _ => json!({}),
        };
        let before = match name.as_str() {
            "lab-check" | "lab-expire" | "lab-finish" | "lab-submit" | "lab-reset" => Some(built()),
            "ingest-chunk" => Some(flow(&[("ingest_scan", json!({"dataset": "things"}))])),
            _ => None,
        };
        let whose = if name == "user-create" { systems } else { world };
        tests.extend(both(|| {
            let test = CrashTest::over(definition.clone(), registry.clone())
                .with_input(input.clone())
                .with_aliases(aliases())
                .in_world(whose)
                .tolerates("directories", UNHEARD);
            before.iter().fold(test, |test, flow| test.after(flow.clone(), json!({})))
        }));
    }
    let table = tried(tests);
    assert!(table.0.len() >= 22 && table.0.iter().all(|row| row.deaths() == 2 * row.boundaries + row.within));
}
