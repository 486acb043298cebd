//! Lists of runs, flows and tasks.

use serde_json::{Value, json};

use super::{RUNS, flow, naps, start};
use crate::harness::TestApp;

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn runs_are_listed_newest_first_page_by_page() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let mut all = Vec::new();
    for number in 0..7 {
        let body = match number % 3 {
            0 => json!({"flow": "hello"}),
            1 => json!({"flow": naps(0.0)}),
            _ => json!({"flow": flow(&[("bad", "process_data", json!({"rows": "${input}"}))])}),
        };
        all.insert(0, start(&app, &token, &body, &[]).await.body["id"].as_str().unwrap().to_owned());
    }
    let list = app.get(RUNS, &token).await.body;
    assert_eq!(ids(&list), all);
    assert_eq!(list["next_cursor"], Value::Null);
    assert!(list["data"].as_array().unwrap().iter().all(|run| run.get("tasks").is_none()));

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{RUNS}?limit=3{cursor}"), &token).await.body;
        paged.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, all);
    let hello = app.get(&format!("{RUNS}?flow=hello"), &token).await.body;
    assert_eq!(ids(&hello), [&*all[0], &all[3], &all[6]]);
    let failed = app.get(&format!("{RUNS}?status=failed&limit=1"), &token).await.body;
    assert_eq!((ids(&failed), failed["next_cursor"].as_str()), (vec![all[1].clone()], Some(&*all[1])));
    assert_eq!(ids(&app.get(&format!("{RUNS}?flow=nothing"), &token).await.body), Vec::<String>::new());
}

#[tokio::test]
async fn flows_and_tasks_are_listed_with_their_schemas() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let flows = app.get("/flow-manager/flows", &token).await.body;
    let hello = flows["data"].as_array().unwrap().iter().find(|card| card["name"] == "hello").unwrap();
    assert_eq!(hello["input"]["properties"]["name"]["type"], "string");
    assert_eq!(hello["tasks"][0]["task"], "noop");
    let tasks = app.get("/flow-manager/tasks", &token).await.body;
    let tasks = tasks["data"].as_array().unwrap();
    let names: Vec<&str> = tasks.iter().map(|task| task["name"].as_str().unwrap()).collect();
    for name in [
        "auth_check",
        "create_directory",
        "exec",
        "fetch_data",
        "grade",
        "http_request",
        "noop",
        "process_data",
        "sleep",
        "store_data",
        "terraform_apply",
        "terraform_destroy",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(names.is_sorted());
    assert!(
        tasks
            .iter()
            .all(|task| task["input"].is_object() && !task["description"].as_str().unwrap().is_empty())
    );
}
