use flow_domain::UserId;
use flow_domain::openid::{Origin, SignInJournal};
use flow_manager::driven::memory::MemorySignInJournal;
use flow_manager::driven::postgres::PgSignInJournal;

use crate::harness::TestDb;

type Entries = Vec<(String, Origin)>;

#[tokio::test]
async fn memory_keeps_the_contract() {
    let journal = MemorySignInJournal::default();
    suite(&journal, async |user| journal.of(user)).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    let sql = "select door, address, agent, at <= now() as past from sign_in where user_id = $1 order by id";
    let of = async |user: UserId| {
        let rows = db.pool.client().await.unwrap().query(sql, &[&user.0]).await.unwrap();
        assert!(rows.iter().all(|row| row.get("past")));
        let entry =
            |row: &tokio_postgres::Row| Origin { address: row.get("address"), agent: row.get("agent") };
        rows.iter().map(|row| (row.get("door"), entry(row))).collect()
    };
    suite(&PgSignInJournal(db.pool.clone()), of).await;
}

/// `of` tells the entries of a user in their order.
async fn suite(journal: &dyn SignInJournal, of: impl AsyncFn(UserId) -> Entries) {
    let (ada, bob) = (UserId::new(), UserId::new());
    let origin = |address: Option<&str>, agent: Option<&str>| Origin {
        address: address.map(|address| address.parse().unwrap()),
        agent: agent.map(str::to_owned),
    };
    let entries = [
        ("email", origin(Some("198.51.100.7"), Some("curl/8.0"))),
        ("openid", origin(Some("2001:db8::1"), None)),
        ("email", origin(None, Some("' ; drop table sign_in; --"))),
    ];
    for (door, origin) in &entries {
        journal.record(ada, door, origin).await.unwrap();
    }
    journal.record(bob, "name", &Origin::default()).await.unwrap();
    let expected: Entries =
        entries.iter().map(|(door, origin)| ((*door).to_owned(), origin.clone())).collect();
    assert_eq!(of(ada).await, expected);
    assert_eq!(of(bob).await, [("name".to_owned(), Origin::default())]);
    assert_eq!(of(UserId::new()).await, []);

    // What clients say of themselves is kept short and plain.
    let long = format!("a\u{0}b\r\nforged line\u{7f}{}", "é".repeat(500));
    journal.record(bob, "name", &origin(None, Some(&long))).await.unwrap();
    let kept = of(bob).await.pop().unwrap().1.agent.unwrap();
    assert_eq!((kept.chars().count(), kept.starts_with("abforged lineé")), (200, true), "{kept}");
}
