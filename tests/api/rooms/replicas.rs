//! Two replicas on one database.

use flow_domain::users::Role;
use serde_json::Value;

use super::{PATIENCE, Stream, delete, people, say, token_of};
use crate::harness::TestApp;

async fn two() -> [TestApp; 2] {
    let settings = [("FLOW_AUTH_SECRET", people::SECRET), ("FLOW_ROOMS_POSTS_PER_MINUTE", "1000000")];
    let first = TestApp::start_with(&settings).await;
    // The last of two settings of one name stands.
    let url = first.db.url();
    let shared = [&settings[..], &[("FLOW_DATABASE_URL", url.as_str())]].concat();
    let second = TestApp::start_with(&shared).await;
    [first, second]
}

async fn names(app: &TestApp, token: &str) -> Vec<String> {
    let users = app.get("/room/lobby/who", token).await.body["users"].as_array().unwrap().clone();
    users.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

async fn until_present(app: &TestApp, token: &str, wanted: &[&str]) {
    let wait = async {
        while names(app, token).await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("everyone who reads is seen everywhere");
}

#[tokio::test]
async fn what_is_said_at_one_is_read_at_all_in_one_order() {
    let [one, other] = two().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let mut readers = [
        Stream::open(&one.base, "/room/lobby", &token, &[]).await,
        Stream::open(&other.base, "/room/lobby", &token, &[]).await,
    ];
    let talk = async |app: &TestApp, name: &str| {
        for number in 0..50 {
            say(app, &token, "lobby", &format!("{name} {number}")).await;
        }
    };
    tokio::join!(talk(&one, "one"), talk(&other, "other"));
    let mut read = Vec::new();
    for reader in &mut readers {
        let mut all = Vec::new();
        for _ in 0..100 {
            all.push(reader.message().await.unwrap());
        }
        read.push(all);
    }
    assert_eq!(read[0], read[1]);
    let ids: Vec<i64> = read[0].iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn everyone_is_seen_everywhere_and_a_leave_ends_streams_everywhere() {
    let [one, other] = two().await;
    let (ann, ben) = (token_of(Role::Anonymous, Some("ann")), token_of(Role::Learner, Some("ben")));
    let mut anns = Stream::open(&one.base, "/room/lobby", &ann, &[]).await;
    let _bens = Stream::open(&other.base, "/room/lobby", &ben, &[]).await;
    until_present(&one, &ben, &["ann", "ben"]).await;
    until_present(&other, &ben, &["ann", "ben"]).await;
    assert_eq!(delete(&other, &ann, "/room/lobby/me").await.status, 200);
    assert_eq!(anns.message().await, None, "ended by the other replica's call");
    until_present(&other, &ben, &["ben"]).await;
    // Whoever comes back is not sent away by the leave from before.
    let mut again = Stream::open(&one.base, "/room/lobby", &ann, &[]).await;
    say(&other, &ben, "lobby", "welcome back").await;
    assert_eq!(again.texts(1).await, ["welcome back"]);
}

#[tokio::test]
async fn readers_of_a_killed_replica_go_on_at_another_where_they_were() {
    let [one, other] = two().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let mut reader = Stream::open(&one.base, "/room/lobby?after=0", &token, &[]).await;
    for number in 1..=10 {
        say(&other, &token, "lobby", &number.to_string()).await;
    }
    let mut seen: Vec<Value> = Vec::new();
    for _ in 0..5 {
        seen.push(reader.message().await.unwrap());
    }
    one.signal(rustix::process::Signal::KILL);
    // What was on its way may come yet; then the connection breaks, and not by a clean end.
    let broken = tokio::time::timeout(PATIENCE, async {
        loop {
            match reader.line().await {
                Ok(Some(line)) if line.starts_with('{') => seen.push(serde_json::from_str(&line).unwrap()),
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    });
    assert!(broken.await.expect("a killed server's connections end"));
    say(&other, &token, "lobby", "11").await;
    let last = seen.last().unwrap()["id"].as_i64().unwrap();
    let mut reader = Stream::open(&other.base, &format!("/room/lobby?after={last}"), &token, &[]).await;
    while seen.len() < 11 {
        seen.push(reader.message().await.unwrap());
    }
    let texts: Vec<&str> = seen.iter().map(|message| message["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]);
}

/// The server ends every connection that listens, so that notifications are lost.
#[tokio::test]
async fn a_lost_notification_loses_no_message() {
    let [one, other] = two().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let mut reader = Stream::open(&one.base, "/room/lobby", &token, &[]).await;
    let client = one.db.pool.client().await.unwrap();
    for number in 0..5 {
        let ended = client
            .query(
                "select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen room_signal'",
                &[],
            )
            .await
            .unwrap();
        say(&other, &token, "lobby", &number.to_string()).await;
        assert_eq!(reader.texts(1).await, [number.to_string()], "{} were not listening", ended.len());
    }
}
