//! `/api/power-plants`, by HTTP: who may ask, what is answered, and how long it is good for.

mod redis;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestApp};
use crate::ingest::{Bench, HEADER, excerpt};

const TOP: &str = "/api/power-plants/top";
const STATES: &str = "/api/power-plants/states";

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|plant| plant["plant_name"].as_str().unwrap()).collect()
}

fn from(answer: &Answer) -> &str {
    answer.headers["x-cache"].to_str().unwrap()
}

/// Whether the cache answers the question for all.
pub async fn is_hit(bench: &Bench) -> bool {
    from(&bench.app.get(TOP, &bench.token).await) == "hit"
}

#[tokio::test]
async fn who_has_no_token_or_too_little_of_one_is_refused() {
    let app = TestApp::start().await;
    let anonymous = app.post("/token", "", &json!({})).await.body["token"].as_str().unwrap().to_owned();
    for path in [TOP, STATES] {
        app.get(path, "").await.refused(401, "auth.token_missing");
        app.get(path, "x.y.z").await.refused(401, "auth.token_invalid");
        app.get(path, &anonymous).await.refused(403, "auth.role_too_low");
    }
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let query = "?limit=0&page=x&state=Cal&year=18999&order=up&year=2018";
    let answer = app.get(&format!("{TOP}{query}"), &token).await;
    answer.refused(400, "query.invalid");
    let mut named: Vec<&str> = answer.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named, ["/limit", "/order", "/page", "/state", "/year"], "{}", answer.body);
    for query in
        ["?limit=101", "?limit=-1", "?page=0", "?page=10001", "?state=%00%00", "?limit=1&limit=1", "?state="]
    {
        app.get(&format!("{TOP}{query}"), &token).await.refused(400, "query.invalid");
    }
    app.get(&format!("{STATES}?x=1"), &token).await.refused(400, "query.invalid");
}

#[tokio::test]
async fn the_largest_come_first_by_state_year_and_page() {
    let bench = Bench::start().await;
    bench.put("2017.csv", excerpt(2017));
    bench.put("2018.csv", excerpt(2018));
    bench.ingest().await;
    let get = async |query: &str| bench.app.get(&format!("{TOP}{query}"), &bench.token).await.body;
    let mut expected: Vec<(f64, String, String, i64)> = [2017, 2018]
        .into_iter()
        .flat_map(|year| {
            let rows = excerpt(year);
            let mut reader = csv::Reader::from_reader(rows.as_bytes());
            let plant = |row: csv::StringRecord| {
                (row[6].parse().unwrap(), row[2].to_owned(), row[3].to_owned(), row[0].parse().unwrap())
            };
            reader.records().map(|row| plant(row.unwrap())).collect::<Vec<_>>()
        })
        .collect();
    expected.sort_by(|one, other| other.0.total_cmp(&one.0));

    let page = get("?limit=5").await;
    assert_eq!(
        (&page["total"], &page["page"], &page["limit"]),
        (&json!(expected.len()), &json!(1), &json!(5))
    );
    assert_eq!(names(&page), expected[..5].iter().map(|plant| &*plant.1).collect::<Vec<_>>());
    let first = &page["data"][0];
    assert_eq!((&first["net_generation"], &first["state"]), (&json!(expected[0].0), &json!(expected[0].2)));
    assert_eq!(names(&get("?limit=2&page=2").await), names(&page)[2..4]);

    let texas: Vec<&str> =
        expected.iter().filter(|plant| plant.2 == "TX" && plant.3 == 2018).map(|plant| &*plant.1).collect();
    let page = get("?limit=100&state=tx&year=2018").await;
    assert_eq!((names(&page), &page["total"]), (texas.clone(), &json!(texas.len())));
    let beyond = get("?limit=100&page=10000").await;
    assert_eq!((&beyond["data"], &beyond["total"]), (&json!([]), &json!(expected.len())));

    let states = bench.app.get(STATES, &bench.token).await.body;
    let mut codes: Vec<&str> = expected.iter().map(|plant| &*plant.2).collect();
    codes.sort_unstable();
    codes.dedup();
    let listed = states["states"].as_array().unwrap();
    let mut told: Vec<&str> = listed.iter().map(|state| state["code"].as_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, codes);
    assert!(listed.contains(&json!({"code": "TX", "name": "Texas"})));
}

#[tokio::test]
async fn an_answer_is_kept_until_an_ingest_commits_on_every_replica() {
    let bench = Bench::start().await;
    let other = bench.replica().await;
    bench.put("a.csv", format!("{HEADER}\n2018,1,One,CA,Solar,1,10\n"));
    bench.ingest().await;
    for app in [&bench.app, &other] {
        until(app, &bench.token, &["One"]).await;
        let again = app.get(&format!("{TOP}?state=ca&limit=10"), &bench.token).await;
        assert_eq!(from(&again), "miss");
        // The same question in another form.
        let same = app.get(&format!("{TOP}?page=1&state=CA"), &bench.token).await;
        assert_eq!((from(&same), &same.body), ("hit", &again.body));
    }
    bench.put("b.csv", format!("{HEADER}\n2018,2,Two,CA,Solar,1,20\n"));
    bench.ingest().await;
    for app in [&bench.app, &other] {
        until(app, &bench.token, &["Two", "One"]).await;
    }
}

/// The news comes by itself, and soon: long before the kept answer's time is over.
pub async fn until(app: &TestApp, token: &str, expected: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(50);
    loop {
        let answer = app.get(TOP, token).await;
        if names(&answer.body) == expected {
            return;
        }
        assert!(Instant::now() < deadline, "still {}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_has_the_answer_already_is_told_so() {
    let bench = Bench::start().await;
    bench.put("a.csv", format!("{HEADER}\n2018,1,One,CA,Solar,1,10\n"));
    bench.ingest().await;
    until(&bench.app, &bench.token, &["One"]).await;
    let etag = bench.app.get(TOP, &bench.token).await.headers["etag"].to_str().unwrap().to_owned();
    let ask = async |if_none_match: &str| {
        let request = bench.app.request(Method::GET, TOP).bearer_auth(&bench.token);
        Answer::to(request.header("If-None-Match", if_none_match)).await
    };
    for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let answer = ask(&known).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (304, &json!("")), "{known}");
        assert_eq!(answer.headers["etag"], etag.as_str());
    }
    assert_eq!(ask("\"x\"").await.status, 200);
    bench.put("b.csv", format!("{HEADER}\n2018,2,Two,CA,Solar,1,20\n"));
    bench.ingest().await;
    until(&bench.app, &bench.token, &["Two", "One"]).await;
    assert_eq!(ask(&etag).await.status, 200);
}
