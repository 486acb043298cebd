//! Several services over one database: a session's files are on one machine, and what needs them is done there.

use serde_json::json;

use super::bench::Bench;
use super::people::Person;

const HELLO: &str = "/labs/hello-terraform";
const STATE_KEY: (&str, &str) =
    ("FLOW_STATE_KEY", "5f6b3c1d8e2a49707f1e0d9c8b7a695847362514f3e2d1c0b9a8978675645342");

#[tokio::test]
async fn what_is_asked_elsewhere_is_done_where_the_session_is() {
    let bench = Bench::shipped_with(&[STATE_KEY]).await;
    let here = Person::learner(&bench, "ann").await;
    let other = bench.app.beside(&[STATE_KEY]).await;
    let there = here.at(&other);
    here.done(&format!("{HELLO}/launch"), json!({})).await;
    let session = here.see(&format!("{HELLO}/session")).await;
    let id = session["id"].as_str().unwrap();
    let word = session["outputs"]["greeting"].as_str().unwrap().trim_end_matches('.');
    let word = word.rsplit(' ').next().unwrap();
    // Each of them would find it by chance one time in two.
    for _ in 0..4 {
        let submit = there.done(&format!("{HELLO}/submit"), json!({"answers": {"word": word}})).await;
        assert_eq!(
            (&submit["status"], &submit["tasks"][1]["output"]["score"]),
            (&json!("succeeded"), &json!(100.0))
        );
    }
    let check = there.done(&format!("/sessions/{id}/steps/1/check"), json!({})).await;
    assert_eq!(check["status"], "succeeded", "{check}");
    let reset = there.done(&format!("{HELLO}/reset"), json!({})).await;
    assert_eq!(reset["status"], "succeeded", "{reset}");
    let submit = there.done(&format!("{HELLO}/submit"), json!({})).await;
    assert_eq!(submit["status"], "succeeded", "{submit}");
    let finish = there.done(&format!("{HELLO}/finish"), json!({})).await;
    assert_eq!(finish["status"], "succeeded", "{finish}");
    assert_eq!(bench.directory("hello-terraform"), None);
    // The next session may be anywhere.
    there.done(&format!("{HELLO}/launch"), json!({})).await;
    let submit = here.done(&format!("{HELLO}/submit"), json!({})).await;
    assert_eq!(submit["status"], "succeeded", "{submit}");
}

#[tokio::test]
async fn without_its_machine_a_session_is_taken_down_by_the_copy_of_its_state() {
    let mut bench = Bench::shipped_with(&[STATE_KEY]).await;
    let token = {
        let ann = Person::learner(&bench, "ann").await;
        ann.done(&format!("{HELLO}/launch"), json!({})).await;
        ann.token
    };
    let other = bench.app.beside(&[STATE_KEY]).await;
    bench.app.kill();
    let there = Person::with_token(&bench, &token).at(&other);
    // Until its lease is lost the machine counts as there: what is asked meanwhile waits for it, and is let go by force.
    tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while bench.workers_alive().await > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the lease is lost");
    let finish = there.done(&format!("{HELLO}/finish"), json!({})).await;
    assert_eq!(finish["status"], "succeeded", "{finish}");
}
