use std::time::Duration;

use flow_domain::SessionId;
use flow_domain::labs::{LabSessions, StateCopies, StateCopy};
use flow_domain::users::{Role, Users};
use flow_manager::driven::postgres::keys::token_keys;
use flow_manager::driven::postgres::users::{DEMO_EMAIL, DEMO_USER, demo_user, seed_demo};
use flow_manager::driven::postgres::{PgLabSessions, PgStateCopies, PgUsers};
use flow_manager::driven::sealing::StateKey;

use crate::contract::{code, lab, stored_learner};
use crate::harness::TestDb;

const CLEAR: &[u8] = b"a password that terraform keeps in its state";

fn copies(db: &TestDb, key: u8) -> PgStateCopies {
    PgStateCopies::new(db.pool.clone(), Some(StateKey::new(&[key; 32])))
}

/// A session with one copy, encrypted with key 1.
async fn kept(db: &TestDb) -> SessionId {
    let learner = stored_learner(db).await;
    let session = PgLabSessions::new(db.pool.clone()).open(learner, &lab("any")).await.unwrap().id;
    let copy = StateCopy { lineage: "one".into(), serial: 1, bytes: CLEAR.into() };
    assert!(copies(db, 1).keep(session, copy).await.unwrap());
    session
}

#[tokio::test]
async fn a_state_is_not_readable_in_the_table() {
    let db = TestDb::new().await;
    let session = kept(&db).await;
    let rows =
        db.pool.query("select ciphertext, terraform_state::text from terraform_state", &[]).await.unwrap();
    let (stored, whole): (Vec<u8>, String) = (rows[0].get(0), rows[0].get(1));
    assert_eq!(stored.len(), CLEAR.len() + 16, "the text and its tag");
    assert!(!stored.windows(8).any(|part| CLEAR.windows(8).any(|clear| clear == part)));
    assert!(!whole.contains(&"01".repeat(32)), "the key itself is not stored");
    assert_eq!(copies(&db, 1).latest(session).await.unwrap().unwrap().bytes, CLEAR);
}

#[tokio::test]
async fn every_version_stays_and_can_be_opened() {
    let db = TestDb::new().await;
    let session = kept(&db).await;
    for text in ["grown", "grown again", "grown"] {
        let copy = StateCopy { lineage: "one".into(), serial: 1, bytes: text.into() };
        assert!(copies(&db, 1).keep(session, copy.clone()).await.unwrap(), "{text}");
        assert!(!copies(&db, 1).keep(session, copy).await.unwrap(), "{text}: nothing is new");
    }
    // Each is the latest once those after it are gone.
    for text in ["grown", "grown again", "grown"].map(str::as_bytes).into_iter().rev().chain([CLEAR]) {
        assert_eq!(copies(&db, 1).latest(session).await.unwrap().unwrap().bytes, text);
        let newest = "delete from terraform_state where number = (select max(number) from terraform_state)";
        assert_eq!(db.pool.execute(newest, &[]).await.unwrap(), 1);
    }
    assert_eq!(copies(&db, 1).latest(session).await.unwrap(), None);
}

#[tokio::test]
async fn another_key_is_named_as_the_reason() {
    let db = TestDb::new().await;
    let session = kept(&db).await;
    assert_eq!(code(copies(&db, 2).latest(session).await), "state_key.other");
}

#[tokio::test]
async fn without_a_key_nothing_is_kept_and_one_sentence_says_what_to_set() {
    let db = TestDb::new().await;
    let session = kept(&db).await;
    let copies = PgStateCopies::new(db.pool.clone(), None);
    assert!(copies.ready().unwrap_err().public.contains("FLOW_STATE_KEY"));
    let copy = StateCopy { lineage: "one".into(), serial: 2, bytes: CLEAR.into() };
    assert_eq!(code(copies.keep(session, copy).await), "state_key.missing");
    assert_eq!(code(copies.latest(session).await), "state_key.missing");
}

#[tokio::test]
async fn a_copy_that_was_tampered_with_or_moved_is_refused() {
    let db = TestDb::new().await;
    let session = kept(&db).await;
    for tampering in [
        "update terraform_state set serial = 2",
        "update terraform_state set serial = 1, ciphertext = set_byte(ciphertext, 0, 255 - get_byte(ciphertext, 0))",
        "update terraform_state set nonce = set_byte(nonce, 0, 255 - get_byte(nonce, 0))",
    ] {
        db.pool.execute(tampering, &[]).await.unwrap();
        assert_eq!(code(copies(&db, 1).latest(session).await), "internal", "{tampering}");
    }
}

#[tokio::test]
async fn a_copy_of_a_session_nobody_opened_is_refused() {
    let db = TestDb::new().await;
    let copy = StateCopy { lineage: "one".into(), serial: 1, bytes: CLEAR.into() };
    assert_eq!(code(copies(&db, 1).keep(SessionId::new(), copy).await), "session.unknown");
}

#[tokio::test]
async fn replicas_that_ask_at_once_share_one_signing_secret() {
    let db = TestDb::new().await;
    db.warm().await;
    let keys = futures_util::future::join_all((0..8).map(|_| token_keys(&db.pool))).await;
    let first = &keys[0].as_ref().unwrap()[0];
    assert!(first.secret.len() >= 32 && first.signs && first.ends_at.is_none());
    for keys in &keys {
        let [key] = keys.as_ref().unwrap().as_slice() else { panic!("one key") };
        assert_eq!((key.id, &key.secret), (first.id, &first.secret));
    }
    let elsewhere = TestDb::new().await;
    assert_ne!(token_keys(&elsewhere.pool).await.unwrap()[0].secret, first.secret);
}

/// Whose transaction began before the key was made, because it had to wait, may sign with it all the same.
#[tokio::test]
async fn a_replica_that_waited_for_the_key_signs_with_it() {
    let db = TestDb::new().await;
    let mut client = db.pool.client().await.unwrap();
    let first = client.transaction().await.unwrap();
    first.batch_execute("lock table token_key in share row exclusive mode").await.unwrap();
    let pool = db.pool.clone();
    let second = tokio::spawn(async move { token_keys(&pool).await });
    let waits = "select 1 from pg_locks where relation = 'token_key'::regclass and not granted";
    tokio::time::timeout(Duration::from_secs(60), async {
        while db.pool.query_opt(waits, &[]).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the second replica waits");
    let made = "insert into token_key (secret, signs_from) values ($1, clock_timestamp())";
    first.execute(made, &[&[7u8; 32].as_slice()]).await.unwrap();
    first.commit().await.unwrap();
    let keys = second.await.unwrap().unwrap();
    let [key] = keys.as_slice() else { panic!("one key") };
    assert!(key.signs && key.secret == [7; 32]);
}

#[tokio::test]
async fn the_demo_user_is_there_only_once_seeded() {
    let db = TestDb::new().await;
    assert!(demo_user(&db.pool).await.unwrap().is_none());
    assert!(seed_demo(&db.pool, "a hash").await.unwrap());
    assert!(!seed_demo(&db.pool, "another hash").await.unwrap());
    assert!(demo_user(&db.pool).await.unwrap().is_some());
    let account = PgUsers::new(db.pool.clone()).by_email(DEMO_EMAIL).await.unwrap().unwrap();
    assert_eq!((account.user.id, account.user.role), (DEMO_USER, Role::Operator));
    assert_eq!((account.password_hash.as_deref(), account.disabled), (Some("a hash"), false));
}
