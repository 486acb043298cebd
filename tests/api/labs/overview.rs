//! What a learner has of each lab, which sessions there are, and what a lab asks for.

use reqwest::Method;
use serde_json::{Value, json};

use super::bench::Bench;
use super::people::Person;
use crate::harness::Answer;

const HELLO: &str = "/labs/hello-terraform";
const ONE: &str = "resource \"terraform_data\" \"one\" {}\n";
const GRADE: &str = "#!/bin/sh\necho '{\"score\":1,\"max\":1}' > \"$FM_GRADE_RESULT\"\n";

/// The best score on the card of the list; the lab by itself says the same.
async fn best(person: &Person<'_>) -> Value {
    let cards = person.see("/labs").await;
    let card = cards["data"].as_array().unwrap().iter().find(|card| card["name"] == "hello-terraform");
    let best = card.unwrap()["best"].clone();
    assert_eq!(person.see(HELLO).await["best"], best);
    best
}

async fn launch(person: &Person<'_>) -> Value {
    person.done(&format!("{HELLO}/launch"), json!({})).await;
    person.see(&format!("{HELLO}/session")).await
}

#[tokio::test]
async fn the_best_score_of_a_lab_outlives_its_session() {
    let bench = Bench::shipped().await;
    let (ann, bob) = (Person::learner(&bench, "ann").await, Person::learner(&bench, "bob").await);
    assert_eq!(best(&ann).await, json!(null));
    let first = launch(&ann).await;
    ann.done(&format!("{HELLO}/submit"), json!({})).await;
    let told = json!({"session": first["id"], "attempt": 1, "score": 75.0, "max": 100.0});
    assert_eq!(best(&ann).await, told);
    ann.done(&format!("{HELLO}/finish"), json!({})).await;
    assert_eq!(best(&ann).await, told, "the session is over");
    let second = launch(&ann).await;
    let word =
        second["outputs"]["greeting"].as_str().unwrap().trim_end_matches('.').rsplit(' ').next().unwrap();
    ann.done(&format!("{HELLO}/submit"), json!({"answers": {"word": word}})).await;
    ann.done(&format!("{HELLO}/submit"), json!({})).await;
    let told = json!({"session": second["id"], "attempt": 1, "score": 100.0, "max": 100.0});
    assert_eq!(best(&ann).await, told, "a worse attempt changes nothing");
    assert_eq!(best(&bob).await, json!(null));
}

/// Ids of the sessions of an answer.
fn ids(list: &Value) -> Vec<Value> {
    list["data"].as_array().unwrap_or_else(|| panic!("{list}")).iter().map(|one| one["id"].clone()).collect()
}

#[tokio::test]
async fn sessions_are_listed_for_operators_and_each_learner_sees_their_own() {
    let bench = Bench::shipped().await;
    let (ann, bob) = (Person::learner(&bench, "ann").await, Person::learner(&bench, "bob").await);
    let operator = Person::operator(&bench).await;
    assert_eq!(operator.see("/sessions").await, json!({"data": [], "next_cursor": null}));
    let first = launch(&ann).await;
    ann.done(&format!("{HELLO}/finish"), json!({})).await;
    let second = launch(&ann).await;
    let third = launch(&bob).await;
    let [first, second, third] = [first, second, third].map(|session| session["id"].clone());

    let all = operator.see("/sessions").await;
    assert_eq!(ids(&all), [third.clone(), second.clone(), first.clone()]);
    let id_of = async |person: &Person<'_>| person.see("/me").await["id"].as_str().unwrap().to_owned();
    let (ann_id, bob_id) = (id_of(&ann).await, id_of(&bob).await);
    assert_eq!(all["data"][0]["learner"], json!({"id": bob_id, "name": "bob@example.org"}));
    assert_eq!((&all["data"][0]["status"], &all["data"][2]["status"]), (&json!("ready"), &json!("finished")));
    let one = operator.see(&format!("/sessions/{}", third.as_str().unwrap())).await;
    assert_eq!(one, all["data"][0], "one by itself says the same");

    let filtered = async |query: &str| ids(&operator.see(&format!("/sessions?{query}")).await);
    assert_eq!(filtered("status=ready").await, [third.clone(), second.clone()]);
    assert_eq!(filtered("lab=web-server").await, [] as [Value; 0]);
    assert_eq!(
        filtered(&format!("lab=hello-terraform&user={ann_id}")).await,
        [second.clone(), first.clone()]
    );
    assert_eq!(filtered(&format!("user={ann_id}&status=finished")).await, std::slice::from_ref(&first));

    // A page at a time: each once, and an end.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = operator.see(&format!("/sessions?limit=1{cursor}")).await;
        seen.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [third.clone(), second.clone(), first.clone()]);

    assert_eq!(ids(&ann.see("/sessions").await), [second.clone(), first.clone()]);
    assert_eq!(
        ids(&ann.see(&format!("/sessions?user={bob_id}")).await),
        [] as [Value; 0],
        "another's are as good as none"
    );
    assert_eq!(ids(&ann.see(&format!("/sessions?cursor={}", second.as_str().unwrap())).await), [first]);
    assert_eq!(ids(&bob.see(&format!("/sessions?user={bob_id}")).await), [third]);
}

#[tokio::test]
async fn a_list_of_sessions_with_a_bad_filter_is_refused_and_visitors_get_none() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    for query in [
        "status=open",
        "status=",
        "user=ann",
        "user=",
        "lab=Hello",
        "lab=..",
        "lab=",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=1",
        "cursor=",
        "labs=x",
        "limit=1&limit=2",
        "lab=%00",
    ] {
        let answer = ann.get(&format!("/sessions?{query}")).await;
        answer.refused(400, "query.invalid");
        let name = query.split('=').next().unwrap();
        assert!(answer.body["detail"].as_str().unwrap().contains(name), "{}", answer.body);
    }
    bench.app.get("/sessions", "").await.refused(401, "auth.token_missing");
    let visitor = bench.app.post("/token", "", &json!({})).await.body["token"].as_str().unwrap().to_owned();
    bench.app.get("/sessions", &visitor).await.refused(403, "auth.role_too_low");
}

#[tokio::test]
async fn what_a_lab_asks_for_is_told_and_held_against_what_is_handed_in() {
    let card = "[[answers]]\nname = \"word\"\ntitle = \"The word\"\npattern = \"[0-9a-f]{4}\"\nplaceholder = \"00ff\"\n\
                [[answers]]\nname = \"door\"\ntitle = \"The door\"\nchoices = [\"open\", \"shut\"]\noptional = true\n";
    let bench = Bench::with_card("asks", ONE, GRADE, card, &[]).await;
    let ann = Person::learner(&bench, "ann").await;
    let lab = ann.see("/labs/asks").await;
    assert_eq!(
        lab["answers"][0],
        json!({"name": "word", "title": "The word", "pattern": "[0-9a-f]{4}", "choices": null, "placeholder": "00ff",
            "optional": false})
    );
    assert_eq!(
        (&lab["answers"][1]["choices"], &lab["answers"][1]["optional"]),
        (&json!(["open", "shut"]), &json!(true))
    );
    ann.done("/labs/asks/launch", json!({})).await;

    for (body, pointers) in [
        (json!({}), vec!["/answers/word"]),
        (json!({"answers": {}}), vec!["/answers/word"]),
        (json!({"answers": {"word": "00fg"}}), vec!["/answers/word"]),
        (json!({"answers": {"word": "00ff", "door": "ajar"}}), vec!["/answers/door"]),
        (json!({"answers": {"word": ["00ff"], "wort": "00ff"}}), vec!["/answers/word", "/answers/wort"]),
    ] {
        let answer = ann.post("/labs/asks/submit", &body).await;
        answer.refused(422, "answers.invalid");
        let faults = answer.body["errors"].as_array().unwrap();
        let told: Vec<_> = faults.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
        assert_eq!(told, pointers, "{body}");
    }
    let runs = ann.see("/flow-manager/runs?flow=lab-submit").await;
    assert_eq!(runs["data"], json!([]), "nothing of it was begun");

    for answers in [json!({"word": "00ff"}), json!({"word": 1234, "door": "shut"})] {
        let request = bench.app.request(Method::POST, "/labs/asks/submit").bearer_auth(&ann.token);
        let answer =
            Answer::to(request.header("Prefer", "wait=120").json(&json!({"answers": answers}))).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["status"]),
            (200, &json!("succeeded")),
            "{}",
            answer.body
        );
    }
}
