//! Labs as their learners reach them, with the terraform, or tofu, of this machine.

use serde_json::{Value, json};

use super::bench::Bench;
use super::people::Person;

const HELLO: &str = "/labs/hello-terraform";

#[tokio::test]
async fn a_learner_goes_from_the_list_to_the_end() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    let cards = ann.see("/labs").await;
    let names: Vec<_> = cards["data"].as_array().unwrap().iter().map(|card| card["name"].clone()).collect();
    assert_eq!(names, ["hello-terraform", "web-server"]);
    let lab = ann.see(HELLO).await;
    assert_eq!((&lab["session"], &lab["difficulty"]), (&json!(null), &json!("beginner")));
    assert!(lab["tutorial"]["markdown"].as_str().unwrap().starts_with("# Hello, Terraform"));
    ann.get(&format!("{HELLO}/session")).await.refused(404, "session.none");

    let launch = ann.post(&format!("{HELLO}/launch"), &json!({})).await;
    assert_eq!(
        (launch.status.as_u16(), &launch.body["flow"]),
        (202, &json!("lab-launch")),
        "{}",
        launch.body
    );
    assert_eq!(launch.headers["location"], launch.body["links"]["self"].as_str().unwrap());
    let ready = ann.until(&format!("{HELLO}/session"), |session| session["status"] == "ready").await;
    assert_eq!((&ready["run"], &ready["lab_version"]), (&launch.body["id"], &lab["version"]));
    let word = ready["outputs"]["greeting"].as_str().unwrap().trim_end_matches('.');
    let word = word.rsplit(' ').next().unwrap();

    let id = ready["id"].as_str().unwrap();
    ann.done(&format!("{HELLO}/submit"), json!({"answers": {"word": word}})).await;
    ann.done(&format!("{HELLO}/submit"), json!({})).await;
    let attempts = ann.see(&format!("/sessions/{id}/attempts")).await;
    let told: Vec<_> = attempts["data"].as_array().unwrap().iter().collect();
    let brief = |attempt: &Value| json!([attempt["attempt"], attempt["score"], attempt["counts"]]);
    assert_eq!([brief(told[0]), brief(told[1])], [json!([1, 100.0, true]), json!([2, 75.0, false])]);

    let finish = ann.done(&format!("{HELLO}/finish"), json!({})).await;
    assert_eq!((&finish["status"], &finish["flow"]), (&json!("succeeded"), &json!("lab-finish")));
    let session = ann.see(&format!("/sessions/{id}")).await;
    assert_eq!((&session["status"], session["ended_at"].is_string()), (&json!("finished"), true));
    ann.get(&format!("{HELLO}/session")).await.refused(404, "session.none");
    assert_eq!(bench.directory("hello-terraform"), None);
}

#[tokio::test]
async fn launches_at_once_are_one_and_a_launch_after_them_is_the_same() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    let path = format!("{HELLO}/launch");
    let nothing = json!({});
    let launches = futures_util::future::join_all((0..6).map(|_| ann.post(&path, &nothing))).await;
    let run = launches[0].body["id"].clone();
    for launch in &launches {
        assert_eq!((launch.status.is_success(), &launch.body["id"]), (true, &run), "{}", launch.body);
    }
    let launched = ann.done(&path, json!({})).await;
    assert_eq!((&launched["id"], &launched["status"]), (&run, &json!("succeeded")));
    let again = ann.post(&path, &nothing).await;
    assert_eq!((again.status.as_u16(), &again.body["id"]), (200, &run), "one that is built is told at once");
    let runs = ann.see("/flow-manager/runs?flow=lab-launch").await;
    assert_eq!(runs["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_reset_is_one_run_that_ends_the_session_and_begins_another() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    ann.post(&format!("{HELLO}/reset"), &json!({})).await.refused(404, "session.none");
    ann.done(&format!("{HELLO}/launch"), json!({})).await;
    let old = ann.see(&format!("{HELLO}/session")).await;
    let greeting = bench.appears("hello-terraform", "greeting.txt").await;
    std::fs::write(&greeting, "broken").unwrap();

    let reset = ann.done(&format!("{HELLO}/reset"), json!({})).await;
    assert_eq!((&reset["flow"], &reset["status"]), (&json!("lab-reset"), &json!("succeeded")), "{reset}");
    let new = ann.see(&format!("{HELLO}/session")).await;
    assert_eq!((&new["status"], &new["run"]), (&json!("ready"), &reset["id"]));
    assert_ne!(new["id"], old["id"]);
    assert_ne!(new["outputs"], old["outputs"], "made anew, for another session");
    assert!(std::fs::read_to_string(&greeting).unwrap().starts_with("Hello"));
    let old = ann.see(old["links"]["self"].as_str().unwrap()).await;
    assert_eq!(old["status"], "finished");
    let launch = ann.done(&format!("{HELLO}/launch"), json!({})).await;
    assert_eq!(launch["id"], reset["id"], "the lab is built already, by the reset");
}

#[tokio::test]
async fn sessions_are_their_owners_and_operators_see_them() {
    let bench = Bench::shipped().await;
    let (ann, bob) = (Person::learner(&bench, "ann").await, Person::learner(&bench, "bob").await);
    ann.done(&format!("{HELLO}/launch"), json!({})).await;
    let session = ann.see(&format!("{HELLO}/session")).await;
    let path = session["links"]["self"].as_str().unwrap();
    for path in [path, &format!("{path}/attempts")] {
        bob.get(path).await.refused(404, "session.unknown");
        bench.app.get(path, "").await.refused(401, "auth.token_missing");
    }
    bob.get(&format!("{HELLO}/session")).await.refused(404, "session.none");
    bob.post(&format!("{HELLO}/finish"), &json!({})).await.refused(404, "session.none");
    bob.post(&format!("{HELLO}/submit"), &json!({})).await.refused(404, "session.none");
    assert_eq!(bob.see(HELLO).await["session"], json!(null));
    let operator = Person::operator(&bench).await;
    assert_eq!(operator.see(path).await["id"], session["id"]);
    // A flow that is told another's session does nothing to it.
    let input = json!({"lab": "hello-terraform", "session": session["id"]});
    let body = json!({"flow": "lab-finish", "input": input});
    let run = bob.done("/flow-manager", body).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(ann.see(path).await["status"], "ready");
}

#[tokio::test]
async fn names_that_are_no_labs_are_unknown_whatever_they_look_like() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    let long = "a".repeat(300);
    for name in [
        "no-such-lab",
        "..%2Fhello-terraform",
        "%2E%2E%2F%2E%2E%2Fetc",
        "hello%20terraform",
        "hello-terraform%20",
        "%22hello%22",
        "it%27s",
        "hello-terraform%2Fmain.tf",
        "hello-terraform%00",
        "HELLO-TERRAFORM",
        "%F0%9F%98%80",
        &long,
    ] {
        ann.get(&format!("/labs/{name}")).await.refused(404, "lab.unknown");
        ann.get(&format!("/labs/{name}/session")).await.refused(404, "lab.unknown");
        for verb in ["launch", "submit", "finish", "reset"] {
            let path = format!("/labs/{name}/{verb}");
            ann.post(&path, &json!({})).await.refused(404, "lab.unknown");
        }
    }
    for id in ["x", "..%2Fx", &long, "0192f0c1-2345-7890-abcd-ef0123456789"] {
        ann.get(&format!("/sessions/{id}")).await.refused(404, "session.unknown");
    }
    // An account has a directory for each lab there is, and no name made another.
    let below = |dir: std::path::PathBuf| std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
    for made in below(bench.app.state_dir().join("workspaces")).flat_map(below) {
        let name = made.file_name().unwrap().to_str().unwrap();
        assert!(["hello-terraform", "web-server"].contains(&name), "{name}");
    }
    ann.post(&format!("{HELLO}/launch"), &json!({"lab": "x"})).await.refused(422, "body.invalid");
    ann.post(&format!("{HELLO}/submit"), &json!({"answers": 5})).await.refused(422, "body.invalid");
    ann.get("/labs?x=1").await.refused(400, "query.invalid");
}

#[tokio::test]
async fn the_web_server_is_real_and_ends_with_its_session() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    let launch = ann.done("/labs/web-server/launch", json!({})).await;
    assert_eq!(launch["status"], "succeeded", "{launch}");
    assert!(!launch.to_string().contains("\"key\""), "the lab does not show the key: {launch}");
    let session = ann.see("/labs/web-server/session").await;
    let outputs = session["outputs"].as_object().unwrap();
    assert_eq!(outputs.keys().collect::<Vec<_>>(), ["url"]);
    let url = outputs["url"].as_str().unwrap().to_owned();

    let page = |path: &'static str| {
        let url = format!("{url}{path}");
        async move { reqwest::get(url).await.unwrap().text().await.unwrap() }
    };
    assert_eq!(page("/sign.txt").await, "closed\n");
    assert!(page("/robots.txt").await.contains("/back-room.txt"));
    let room = page("/back-room.txt").await;
    let key = room.split("The key to the door is ").nth(1).unwrap().split('.').next().unwrap();
    for path in ["/../server/pid", "/site/.key", "/terraform.tfstate", "/%2e%2e/main.tf"] {
        let answer = reqwest::get(format!("{url}{path}")).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }

    let grade = |run: Value| bench.output(&run, "store_grade")["score"].clone();
    ann.post("/labs/web-server/submit", &json!({})).await.refused(422, "answers.invalid");
    let wrong = json!({"answers": {"key": "000000000000"}});
    let first = ann.done("/labs/web-server/submit", wrong).await;
    assert_eq!(grade(first), json!(20.0));
    let client = reqwest::Client::new();
    let sign = |key: &str| client.put(format!("{url}/sign.txt")).header("X-Key", key).body("open").send();
    assert_eq!(sign("wrong").await.unwrap().status(), 403);
    assert_eq!(sign(key).await.unwrap().status(), 200);
    let second = ann.done("/labs/web-server/submit", json!({"answers": {"key": key}})).await;
    assert_eq!(grade(second), json!(100.0));

    let finish = ann.done("/labs/web-server/finish", json!({})).await;
    assert_eq!(finish["status"], "succeeded", "{finish}");
    assert!(reqwest::get(&url).await.is_err(), "the server is stopped");
}

#[tokio::test]
async fn a_finish_cancels_a_launch_under_way() {
    let bench = Bench::with_lab("waits", super::crashes::WAITS, "#!/bin/sh\nexit 2\n").await;
    let ann = Person::learner(&bench, "ann").await;
    let launch = ann.post("/labs/waits/launch", &json!({})).await.body;
    bench.appears("waits", "second.runs").await;
    ann.post("/labs/waits/submit", &json!({})).await.refused(409, "session.not_ready");
    let session = ann.see("/labs/waits/session").await;
    assert_eq!(session["status"], "launching");
    let nothing = json!({});
    let finish = ann.post("/labs/waits/finish", &nothing).await;
    assert_eq!(finish.status, 202, "{}", finish.body);
    let again = ann.post("/labs/waits/finish", &nothing).await;
    assert_eq!(again.body["id"], finish.body["id"], "asked for twice is asked for once");
    let launch = bench.end(launch["id"].as_str().unwrap()).await;
    assert_eq!(launch["status"], "cancelled", "{launch}");
    let finish = bench.end(finish.body["id"].as_str().unwrap()).await;
    assert_eq!(finish["status"], "succeeded", "{finish}");
    let session = ann.see(session["links"]["self"].as_str().unwrap()).await;
    assert_eq!(session["status"], "failed", "it was never ready, and nothing is left of it");
    assert_eq!(bench.directory("waits"), None);
}
