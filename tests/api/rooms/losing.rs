//! Streams of those who lose the right to them while they read, by another replica than the one that ends it.

use std::time::Instant;

use flow_domain::UserId;
use flow_domain::labs::{LabSessions, SessionStatus};
use flow_domain::rooms::RoomName;
use flow_domain::users::Role;
use flow_manager::driven::postgres::PgLabSessions;
use serde_json::{Value, json};

use super::{PATIENCE, Stream, people, token_of};
use crate::contract::lab;
use crate::flows::learner;
use crate::harness::TestApp;

async fn two() -> [TestApp; 2] {
    let settings = [("FLOW_AUTH_SECRET", people::SECRET)];
    let first = TestApp::start_with(&settings).await;
    let second = first.beside(&settings).await;
    [first, second]
}

async fn me(app: &TestApp, token: &str) -> UserId {
    let me = app.get("/me", token).await;
    UserId::parse(me.body["id"].as_str().unwrap()).unwrap_or_else(|| panic!("{}", me.body))
}

/// How long it took is printed and not held against the promised two seconds: the machine may be busy.
async fn ends(what: &str, mut stream: Stream) {
    let begun = Instant::now();
    let end = async { while stream.message().await.is_some() {} };
    tokio::time::timeout(PATIENCE, end).await.unwrap_or_else(|_| panic!("{what}: the stream goes on"));
    println!("{what}: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_closed_account_and_another_role_end_streams_and_refuse_new_ones() {
    let [here, there] = two().await;
    let (bob, eve) = (learner(&here, "bob").await, learner(&here, "eve").await);
    let open = async |token: &str| Stream::open(&there.base, "/room/lobby?timeout=3600", token, &[]).await;
    let (bobs, eves) = (open(&bob).await, open(&eve).await);
    here.command(&["user", "disable", "bob@example.org"]);
    ends("a closed account", bobs).await;
    there.get("/room/lobby", &bob).await.refused(401, "auth.token_revoked");
    here.command(&["user", "role", "eve@example.org", "operator"]);
    ends("another role", eves).await;
    let mut others = open(&token_of(Role::Anonymous, Some("ann"))).await;
    there.post("/room/lobby", &eve, &json!({"text": "Still here?"})).await.refused(401, "auth.token_revoked");
    let admin = here.login().await;
    here.post("/room/lobby", &admin, &json!({"text": "Others are."})).await;
    assert_eq!(others.texts(1).await, ["Others are."]);
}

#[tokio::test]
async fn the_end_of_a_session_ends_the_stream_of_its_labs_room_alone() {
    let [here, there] = two().await;
    let (ann, ben) = (learner(&here, "ann").await, learner(&here, "ben").await);
    let sessions = PgLabSessions::new(here.db.pool.clone());
    let anns = sessions.open(me(&here, &ann).await, &lab("waves")).await.unwrap();
    sessions.open(me(&here, &ben).await, &lab("waves")).await.unwrap();
    let open = async |token: &str, room: &str| {
        let stream = Stream::open(&there.base, &format!("/room/{room}?timeout=3600"), token, &[]).await;
        assert_eq!(stream.status, 200, "{room}");
        stream
    };
    let operator = there.login().await;
    let lost = open(&ann, "lab.waves").await;
    let own = RoomName::of_session(anns.id);
    let mut kept = [
        open(&ann, "lobby").await,
        open(&ann, own.as_str()).await,
        open(&ben, "lab.waves").await,
        open(&operator, "lab.waves").await,
    ];
    sessions.set_status(anns.id, SessionStatus::Finished, None).await.unwrap();
    ends("the end of a session", lost).await;
    there.get("/room/lab.waves", &ann).await.refused(403, "room.forbidden");
    there.post("/room/lab.waves", &ann, &json!({"text": "x"})).await.refused(403, "room.forbidden");
    for room in ["lobby", own.as_str(), "lab.waves"] {
        here.post(&format!("/room/{room}"), &operator, &json!({"text": room})).await;
    }
    let said = async |stream: &mut Stream| -> Value {
        loop {
            let message = stream.message().await.expect("it goes on");
            if message["from"]["kind"] != "system" {
                return message["text"].clone();
            }
        }
    };
    for (stream, room) in kept.iter_mut().zip(["lobby", own.as_str(), "lab.waves", "lab.waves"]) {
        assert_eq!(said(stream).await, room);
    }
}
