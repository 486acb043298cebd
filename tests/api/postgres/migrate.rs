use flow_domain::Kind;
use flow_manager::driven::postgres::migrate::{MIGRATIONS, Migration, migrate, migrate_blocking};

use crate::harness::TestDb;

fn all_names() -> Vec<&'static str> {
    MIGRATIONS.iter().map(|migration| migration.name).collect()
}

/// With lists of a test's own.
fn with(db: &TestDb, migrations: &'static [Migration]) -> flow_domain::Result<Vec<&'static str>> {
    let config = db.config.clone();
    std::thread::spawn(move || migrate_blocking(config, migrations)).join().unwrap()
}

#[tokio::test]
async fn an_empty_database_gets_everything_once() {
    let db = TestDb::empty().await;
    assert_eq!(migrate(&db.config).await.unwrap(), all_names());
    assert_eq!(migrate(&db.config).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn services_that_start_at_once_apply_each_migration_once() {
    let db = TestDb::empty().await;
    let answers = futures_util::future::join_all((0..4).map(|_| migrate(&db.config))).await;
    let applied: Vec<&str> = answers.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(applied, all_names());
}

#[tokio::test]
async fn a_changed_migration_is_refused_by_name_and_nothing_is_applied() {
    const FIRST: Migration = Migration { name: "0001_create_apple", sql: "create table apple (id int)" };
    const CHANGED: Migration = Migration { sql: "create table apple (id bigint)", ..FIRST };
    const RENAMED: Migration = Migration { name: "0001_create_pear", ..FIRST };
    const NEXT: Migration = Migration { name: "0002_create_core", sql: "create table core (id int)" };
    let db = TestDb::empty().await;
    assert_eq!(with(&db, &[FIRST]).unwrap(), ["0001_create_apple"]);
    for list in [&[CHANGED, NEXT], &[RENAMED, NEXT]] {
        let refusal = with(&db, list).unwrap_err();
        assert_eq!(refusal.code, "migration.changed");
        assert!(refusal.public.contains(list[0].name), "{}", refusal.public);
    }
    assert_eq!(with(&db, &[FIRST, NEXT]).unwrap(), ["0002_create_core"]);
}

#[tokio::test]
async fn a_migration_that_was_left_out_is_applied_later() {
    const EARLY: Migration = Migration { name: "0001_create_early", sql: "create table early (id int)" };
    const LATE: Migration = Migration { name: "0002_create_late", sql: "create table late (id int)" };
    let db = TestDb::empty().await;
    assert_eq!(with(&db, &[LATE]).unwrap(), ["0002_create_late"]);
    assert_eq!(with(&db, &[EARLY, LATE]).unwrap(), ["0001_create_early"]);
    assert_eq!(with(&db, &[EARLY]).unwrap(), [""; 0], "an older service starts on a newer schema");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_of_itself() {
    const GOOD: Migration = Migration { name: "0001_create_good", sql: "create table good (id int)" };
    const BAD: Migration =
        Migration { name: "0002_create_bad", sql: "create table bad (id int); create table good (id int)" };
    const MENDED: Migration = Migration { name: "0002_create_bad", sql: "create table bad (id int)" };
    let db = TestDb::empty().await;
    let refusal = with(&db, &[GOOD, BAD]).unwrap_err();
    assert_eq!((refusal.kind, refusal.code), (Kind::Conflict, "migration.failed"));
    assert!(refusal.public.contains("0002_create_bad"), "{}", refusal.public);
    assert!(refusal.cause.unwrap().contains("\"good\" already exists"));
    assert_eq!(with(&db, &[GOOD, MENDED]).unwrap(), ["0002_create_bad"]);
}

#[tokio::test]
async fn without_a_server_it_is_worth_another_try() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host_path(nowhere.path()).user("postgres");
    let refusal = migrate(&config).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.code), (Kind::Unavailable, "database.unavailable"));
}
