//! Readers who stand still, and readers who are gone without a word.

use std::time::{Duration, Instant};

use flow_domain::users::Role;

use super::{PATIENCE, Stream, say, start, token_of};
use crate::harness::TestApp;

async fn who(app: &TestApp, token: &str) -> Vec<String> {
    let users = app.get("/room/lobby/who", token).await.body["users"].as_array().unwrap().clone();
    users.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_who_stops_reading_loses_its_place_and_slows_nobody() {
    let app = start().await;
    let (slow, quick) = (token_of(Role::Anonymous, Some("slow")), token_of(Role::Learner, Some("quick")));
    let mut slows = Stream::open(&app.base, "/room/lobby?timeout=3600", &slow, &[]).await;
    let mut quicks = Stream::open(&app.base, "/room/lobby?timeout=3600", &quick, &[]).await;
    // The kernel holds some megabytes for one who does not read; only then is the room's buffer what fills.
    let text = "🎉".repeat(4000);
    let deadline = Instant::now() + PATIENCE;
    let mut said = 0_i64;
    while who(&app, &quick).await != ["quick"] {
        assert!(Instant::now() < deadline, "the slow reader keeps its place after {said} messages");
        for _ in 0..20 {
            say(&app, &quick, "lobby", &text).await;
            said += 1;
            assert_eq!(quicks.message().await.unwrap()["id"], said);
        }
    }
    say(&app, &quick, "lobby", "after").await;
    assert_eq!(quicks.texts(1).await, ["after"]);
    // What was sent before is still read, whole and in order; then the stream ends, and the number is good to go on.
    let read = slows.rest().await;
    let ids: Vec<i64> = read.iter().map(|message| message["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=ids.len() as i64).collect::<Vec<_>>());
    assert!((ids.len() as i64) < said);
    let mut again = Stream::open(&app.base, &format!("/room/lobby?after={}", ids.len()), &slow, &[]).await;
    let next = again.message().await.unwrap()["id"].as_i64().unwrap();
    assert_eq!(next, (ids.len() as i64 + 1).max(said + 1 - 1000 + 1), "as far back as the history goes");
}

#[tokio::test]
async fn one_who_is_gone_without_a_word_is_not_there_for_long() {
    let app = start().await;
    let (gone, here) = (token_of(Role::Anonymous, Some("gone")), token_of(Role::Learner, Some("here")));
    let stream = Stream::open(&app.base, "/room/lobby?timeout=3600", &gone, &[]).await;
    let mut heres = Stream::open(&app.base, "/room/lobby?timeout=3600", &here, &[]).await;
    drop(stream);
    // The server hears of it by the answer to what it writes.
    let deadline = Instant::now() + PATIENCE;
    let mut said = 0;
    while who(&app, &here).await != ["here"] {
        assert!(Instant::now() < deadline, "it is still among those who read");
        said += 1;
        say(&app, &here, "lobby", &said.to_string()).await;
        assert_eq!(heres.texts(1).await, [said.to_string()]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Streams of one second each, so that messages meet the end of one all the time.
#[tokio::test]
async fn a_message_that_is_on_its_way_when_the_time_is_over_comes_with_the_next_stream() {
    let app = start().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let talking = async {
        for number in 1..=300 {
            say(&app, &token, "lobby", &number.to_string()).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reading = async {
        let (mut read, mut streams) = (Vec::new(), 0);
        while read.len() < 300 {
            let after = read.len();
            streams += 1;
            let path = format!("/room/lobby?timeout=1&after={after}");
            let mut stream = Stream::open(&app.base, &path, &token, &[]).await;
            read.extend(stream.rest().await.into_iter().map(|message| message["id"].as_u64().unwrap()));
        }
        (read, streams)
    };
    let ((), (read, streams)) = tokio::join!(talking, reading);
    assert_eq!(read, (1..=300).collect::<Vec<_>>());
    assert!(streams > 1, "no stream ended meanwhile");
}
