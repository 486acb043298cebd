//! What would happen, asked beforehand.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{RUNS, flow, learner};
use crate::harness::{Answer, TestApp};

const PLAN: &str = "/flow-manager?plan=true";

fn codes(answer: &Answer) -> Vec<(&str, &str)> {
    let all = answer.body["faults"].as_array().unwrap().iter();
    all.map(|fault| (fault["pointer"].as_str().unwrap(), fault["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_plan_says_what_would_happen_and_nothing_does() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let steps = flow(&[
        ("folder", "create_directory", json!({"lab": "${input.lab}"})),
        (
            "keep",
            "store_data",
            json!({"dataset": "planned", "rows": [{"n": "${tasks.folder.output.directory}"}]}),
        ),
        ("nap", "sleep", json!({"seconds": 2})),
    ]);
    let before = dump(&app).await;
    let answer = app.post(PLAN, &token, &json!({"flow": steps, "input": {"lab": "web"}})).await;
    assert_eq!(dump(&app).await, before, "not a row was changed");
    assert_eq!(
        (&answer.body["on_failure"], &answer.body["steps"][0]["timeout_s"]),
        (&json!("undo"), &json!(60))
    );
    assert_eq!((answer.status, codes(&answer)), (StatusCode::OK, vec![]), "{}", answer.body);
    let plan = &answer.body;
    assert_eq!(plan["undo_order"], json!(["keep", "folder"]));
    let names: Vec<&Value> = plan["steps"].as_array().unwrap().iter().map(|step| &step["name"]).collect();
    assert_eq!(names, ["folder", "keep", "nap"]);
    assert_eq!(plan["steps"][0]["input"], json!({"lab": "web"}));
    assert_eq!(plan["steps"][1]["input"]["rows"][0]["n"], "${tasks.folder.output.directory}");
    assert_eq!(
        (&plan["steps"][0]["on_success"], &plan["steps"][0]["on_failure"]),
        (&json!("keep"), &json!("fail"))
    );
    assert_eq!(plan["steps"][2]["on_success"], "end");
    assert!(plan["steps"][2]["summary"].as_str().unwrap().contains('2'), "{plan}");
    assert_eq!(app.get(RUNS, &token).await.body["data"], json!([]), "nothing was started");
}

/// Every row of every table but the leases, and every file of learners.
async fn dump(app: &TestApp) -> (String, usize) {
    let leases: Vec<String> = app
        .db
        .pool
        .query("select t::text from worker t", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let rows = app.db.dump().await;
    let id = |lease: &str| lease.trim_start_matches('(').split(',').next().unwrap_or_default().to_owned();
    let leases: Vec<String> = leases.iter().map(|lease| id(lease)).collect();
    let rows = rows.lines().filter(|row| leases.iter().all(|lease| !row.contains(lease.as_str())));
    let workspaces = std::fs::read_dir(app.state_dir().join("workspaces"));
    (rows.collect::<Vec<_>>().join("\n"), workspaces.map_or(0, |entries| entries.count()))
}

#[tokio::test]
async fn a_plan_knows_conditions_keys_limits_pauses_and_what_tasks_say() {
    let app = TestApp::start().await;
    let token = app.login().await;
    app.post("/flow-manager/pause", &token, &json!({"reason": "a rest"})).await;
    let flow = json!({"name": "planned", "at_once": 2, "on_failure": "stop", "concurrency_key": "lab:${input.lab}",
        "tasks": [
            {"name": "check", "task": "auth_check", "input": {"role": "admin"}},
            {"name": "open", "task": "open_session", "input": {"lab": "${input.lab}"}, "timeout_s": 7, "attempts": 2},
            {"name": "run", "task": "exec", "input": {"program": "rm", "args": ["-rf"]}},
            {"name": "note", "task": "noop"}],
        "conditions": [{"name": "c", "source_task": "check", "outcome": "failure",
            "target_task_success": "note", "target_task_failure": "open"}]});
    let before = dump(&app).await;
    let answer = app.post(PLAN, &token, &json!({"flow": flow, "input": {"lab": "moon"}})).await;
    assert_eq!(dump(&app).await, before);
    let plan = &answer.body;
    let faults = [
        ("/flow/tasks/0", "auth.role_too_low"),
        ("/flow/tasks/1", "lab.unknown"),
        ("/flow/tasks/2", "program.not_allowed"),
    ];
    let found = codes(&answer);
    assert!(faults[1..].iter().all(|fault| found.contains(fault)), "{plan}");
    let check = &plan["steps"].as_array().unwrap().iter().find(|step| step["name"] == "check").unwrap();
    assert_eq!((&check["on_success"], &check["on_failure"]), (&json!("open"), &json!("note")));
    let open = &plan["steps"].as_array().unwrap().iter().find(|step| step["name"] == "open").unwrap();
    assert_eq!(
        (&open["timeout_s"], &open["attempts"], &open["undoable"]),
        (&json!(7), &json!(2), &json!(true))
    );
    assert_eq!((&plan["concurrency_key"], &plan["at_once"]), (&json!("lab:moon"), &json!(2)));
    assert_eq!((&plan["on_failure"], &plan["paused"]["reason"]), (&json!("stop"), &json!("a rest")));
    assert_eq!(plan["undo_order"], json!(["open"]));
}

#[tokio::test]
async fn a_plan_lists_what_would_fail() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let post = async |body: Value| app.post(PLAN, &token, &body).await;

    let broken = post(json!({"flow": {"name": "x", "tasks": [{"name": "a", "task": "nop"}]}})).await;
    assert_eq!(codes(&broken), [("/flow/tasks/0/task", "task.unknown")]);
    // The input decides, and it is known already.
    let steps = flow(&[("nap", "sleep", json!({"seconds": "${input.seconds}"}))]);
    let answer = post(json!({"flow": steps, "input": {"seconds": "long"}})).await;
    assert_eq!(answer.body["steps"][0]["name"], "nap", "{}", answer.body);
    assert!(codes(&answer).iter().all(|(_, code)| *code == "task.input_invalid"), "{}", answer.body);
    assert!(!codes(&answer).is_empty());
    let report = post(json!({"flow": "data-report", "input": {"top": 1000}})).await;
    assert!(codes(&report).contains(&("/input/top", "flow.input_invalid")), "{}", report.body);

    let ann = learner(&app, "ann").await;
    app.post(PLAN, &ann, &json!({"flow": "data-report"})).await.refused(403, "flow.forbidden");
    app.post(PLAN, "", &json!({"flow": "hello"})).await.refused(401, "auth.token_missing");
    post(json!({"flow": "nothing"})).await.refused(422, "flow.unknown");
    app.post("/flow-manager?plan=maybe", &token, &json!({"flow": "hello"}))
        .await
        .refused(400, "query.invalid");
}

#[tokio::test]
async fn a_plan_looks_for_the_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secrets.toml");
    std::fs::write(&file, "\"there/it-is\" = \"long enough\"\n\"too/short\" = \"abc\"\n").unwrap();
    let flows = dir.path().join("flows");
    std::fs::create_dir(&flows).unwrap();
    let text = "name = \"secretive\"\n[[tasks]]\nname = \"a\"\ntask = \"noop\"\n\
                input.value = [\"${secret:there/it-is}\", \"${secret:not/there}\", \"${secret:too/short}\"]\n";
    std::fs::write(flows.join("secretive.toml"), text).unwrap();
    let url = format!("file://{}", file.display());
    let app =
        TestApp::start_with(&[("FLOW_SECRETS_URL", &url), ("FLOW_CONFIG_DIR", dir.path().to_str().unwrap())])
            .await;
    let token = app.login().await;
    let answer = app.post(PLAN, &token, &json!({"flow": "secretive"})).await;
    let at = "/flow/tasks/0/input";
    assert_eq!(codes(&answer), [(at, "secret.unknown"), (at, "secret.too_short")], "{}", answer.body);
    assert!(!answer.body.to_string().contains("long enough"));
}
