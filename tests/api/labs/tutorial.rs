//! Tutorials: their steps, what is filled in, and looks at whether a step is done.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::bench::Bench;
use super::people::Person;

const HELLO: &str = "/labs/hello-terraform";

async fn session_of(person: &Person<'_>, lab: &str) -> String {
    let session = person.see(&format!("{lab}/session")).await;
    session["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_learner_goes_through_the_steps_and_what_is_done_is_kept() {
    let mut bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    let tutorial = ann.see(HELLO).await["tutorial"].clone();
    let step = |tutorial: &Value, at: usize| tutorial["steps"][at].clone();
    assert_eq!(tutorial["steps"].as_array().unwrap().len(), 3);
    assert!(tutorial["html"].as_str().unwrap().starts_with("<h1>Hello, Terraform</h1>"), "{tutorial}");
    assert_eq!(
        (&step(&tutorial, 0)["check"], &step(&tutorial, 0)["has_check"]),
        (&json!(null), &json!(true))
    );
    assert!(step(&tutorial, 0)["html"].as_str().unwrap().contains("&lt;greeting&gt;"), "not launched yet");

    ann.done(&format!("{HELLO}/launch"), json!({})).await;
    let tutorial = ann.see(HELLO).await["tutorial"].clone();
    let html = step(&tutorial, 0)["html"].as_str().unwrap().to_owned();
    let (_, word) = html.split_once("Your word is ").unwrap();
    let word = &word[..8];
    let check = step(&tutorial, 0)["check"].as_str().unwrap().to_owned();

    let run = ann.done(&check, json!({"answers": {"word": "00000000"}})).await;
    assert_eq!((&run["flow"], &run["status"]), (&json!("lab-check"), &json!("succeeded")), "{run}");
    let output = bench.output(&run, "check_step");
    assert_eq!((&output["step"], &output["passed"]), (&json!(1), &json!(false)));
    assert!(output["message"].as_str().unwrap().starts_with("That is not your word"), "{output}");
    let tutorial = ann.see(HELLO).await["tutorial"].clone();
    assert_eq!((&step(&tutorial, 0)["done"], &step(&tutorial, 0)["passed"]), (&json!(false), &json!(false)));

    let run = ann.done(&check, json!({"answers": {"word": word}})).await;
    assert_eq!(
        bench.output(&run, "check_step"),
        json!({"step": 1, "passed": true, "message": "That is your word."})
    );
    // A later look that finds it undone again takes nothing away.
    ann.done(&check, json!({})).await;
    let last = step(&tutorial, 2)["check"].as_str().unwrap().to_owned();
    let run = ann.done(&last, json!({})).await;
    assert_eq!(bench.output(&run, "check_step")["passed"], true, "without a check the learner's word counts");
    let (id, token) = (session_of(&ann, HELLO).await, ann.token.clone());

    bench.app.kill_and_restart().await;
    let tutorial = bench.app.get(HELLO, &token).await.body["tutorial"].clone();
    let brief = |at| {
        json!([step(&tutorial, at)["done"], step(&tutorial, at)["passed"], step(&tutorial, at)["checks"]])
    };
    assert_eq!(
        [brief(0), brief(1), brief(2)],
        [json!([true, false, 3]), json!([false, null, 0]), json!([true, true, 1])]
    );

    let ann = Person::learner(&bench, "eve").await;
    let nothing = json!({});
    ann.post(&check, &nothing).await.refused(404, "session.unknown");
    let operator = Person::operator(&bench).await;
    operator.post(&check, &nothing).await.refused(403, "session.not_yours");
    for step in ["0", "4", "01", "-1", "x", "99999999999999999999", "1%20"] {
        let answer = bench.app.post(&format!("/sessions/{id}/steps/{step}/check"), &token, &nothing).await;
        answer.refused(404, "step.unknown");
    }
}

/// Checks that do what their step's number says.
const ODD: &str = "#!/bin/sh
case $(basename \"$0\") in *) ;; esac
step=$(sed -n 's/^  \"step\": \\([0-9]*\\).*/\\1/p' \"$FM_GRADE_INPUT\")
case $step in
  1) echo '<script>alert(1)</script>'; exit 1;;
  2) echo fine; exit 7;;
  3) kill -9 $$;;
  4) sleep 600;;
  5) exit 0;;
esac
";

#[tokio::test]
async fn a_check_at_fault_finds_nothing_out() {
    let mut bench =
        Bench::with_card("odd", "", "#!/bin/sh\nexit 2\n", "[grading]\ntimeout_s = 2\n", &[]).await;
    let lab = bench.path("labs/odd");
    fs::create_dir(lab.join("checks")).unwrap();
    fs::write(lab.join("tutorial.md"), "# T\n## 1\n## 2\n## 3\n## 4\n## 5\n").unwrap();
    for step in 1..=5 {
        let check = lab.join(format!("checks/{step}"));
        fs::write(&check, ODD).unwrap();
        fs::set_permissions(&check, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bench.app.kill_and_restart().await;
    let ann = Person::learner(&bench, "ann").await;
    ann.done("/labs/odd/launch", json!({})).await;
    let id = session_of(&ann, "/labs/odd").await;
    let mut codes = Vec::new();
    for step in 1..=5 {
        let run = ann.done(&format!("/sessions/{id}/steps/{step}/check"), json!({})).await;
        codes.push(run["error"]["code"].as_str().unwrap_or("none").to_owned());
    }
    assert_eq!(codes, ["none", "check.fault", "check.fault", "check.timed_out", "none"]);
    let steps = ann.see("/labs/odd").await["tutorial"]["steps"].clone();
    let told: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["passed"].clone()).collect();
    assert_eq!(told, [json!(false), json!(null), json!(null), json!(null), json!(true)]);
    assert_eq!(
        steps[0]["message"], "<script>alert(1)</script>",
        "words are words, and a page must show them as such"
    );
    assert_eq!(bench.graders_alive(), Vec::<String>::new());
}

#[tokio::test]
async fn a_tutorial_that_would_harm_is_harmless_and_one_that_is_too_long_a_fault() {
    let mut bench = Bench::with_lab("evil", "", "#!/bin/sh\nexit 2\n").await;
    let file = bench.path("labs/evil/tutorial.md");
    let depth = (200 << 10) / 2;
    let evil = format!(
        "# T <script>alert(1)</script>\n\n[a](javascript:alert(1)) <img src=x onerror=alert(1)>\n\n## S\n\n{}x",
        "> ".repeat(depth)
    );
    fs::write(&file, evil).unwrap();
    bench.app.kill_and_restart().await;
    let ann = Person::learner(&bench, "ann").await;
    let tutorial = ann.see("/labs/evil").await["tutorial"].clone();
    let html = tutorial["html"].as_str().unwrap();
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("href"), "{html}");
    let step = tutorial["steps"][0]["html"].as_str().unwrap();
    assert!(step.matches("<blockquote>").count() < 100, "{}", step.len());

    fs::write(&file, "> ".repeat(1 << 19)).unwrap();
    let dir = bench.path("labs/evil");
    let checked = bench.app.command_with(&["lab", "check", dir.to_str().unwrap()], "");
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && said.contains("tutorial.md: is over 256 KiB"), "{said}");
}
