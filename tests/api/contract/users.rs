use flow_domain::UserId;
use flow_domain::users::{Account, Role, User, Users};
use flow_manager::driven::memory::MemoryUsers;
use flow_manager::driven::postgres::PgUsers;

use super::{code, learner};
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryUsers::default()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    suite(&PgUsers::new(db.pool.clone())).await;
}

async fn suite(users: &dyn Users) {
    what_was_added_is_found_as_it_was(users).await;
    addresses_are_compared_without_case(users).await;
    an_address_is_taken_once(users).await;
    a_username_is_taken_once(users).await;
    users_without_names_do_not_stand_in_each_others_way(users).await;
    an_id_is_taken_once(users).await;
    no_person_is_the_system(users).await;
    unknown_ones_are_none(users).await;
    one_of_many_at_once_gets_the_address(users).await;
}

fn with_email(email: &str) -> Account {
    let mut account = learner();
    account.user.email = Some(email.into());
    account
}

async fn what_was_added_is_found_as_it_was(users: &dyn Users) {
    for role in [Role::Anonymous, Role::Learner, Role::Operator, Role::Admin] {
        let user = User {
            id: UserId::new(),
            email: Some(format!("Ada.{role}@Example.org")),
            username: Some(format!("ada-{role}")),
            name: Some("Ada Lovelace".into()),
            role,
        };
        let account =
            Account { user: user.clone(), password_hash: Some("$2b$12$hash".into()), disabled: true };
        assert!(users.add(&account).await.unwrap());
        for found in [
            users.by_id(user.id).await.unwrap().unwrap(),
            users.by_email(user.email.as_deref().unwrap()).await.unwrap().unwrap(),
        ] {
            assert_eq!(found.user, user);
            assert_eq!(found.password_hash.as_deref(), Some("$2b$12$hash"));
            assert!(found.disabled);
        }
    }
}

async fn addresses_are_compared_without_case(users: &dyn Users) {
    let account = with_email("Ödön@Example.org");
    assert!(users.add(&account).await.unwrap());
    for same in ["ödön@example.org", "ÖDÖN@EXAMPLE.ORG", " Ödön@Example.org "] {
        let found = users.by_email(same).await.unwrap().unwrap();
        assert_eq!(found.user.id, account.user.id, "{same}");
    }
    assert!(users.by_email("odon@example.org").await.unwrap().is_none());
}

async fn an_address_is_taken_once(users: &dyn Users) {
    let first = with_email("grace@example.org");
    assert!(users.add(&first).await.unwrap());
    let mut second = with_email("GRACE@example.org");
    second.password_hash = Some("another".into());
    assert!(!users.add(&second).await.unwrap());
    let found = users.by_email("grace@example.org").await.unwrap().unwrap();
    assert_eq!((found.user, found.password_hash), (first.user, None));
    assert!(users.by_id(second.user.id).await.unwrap().is_none());
}

async fn a_username_is_taken_once(users: &dyn Users) {
    let mut first = learner();
    first.user.username = Some("linus".into());
    assert!(users.add(&first).await.unwrap());
    let mut second = learner();
    second.user.username = Some("linus".into());
    assert!(!users.add(&second).await.unwrap());
    assert!(users.by_id(second.user.id).await.unwrap().is_none());
}

async fn users_without_names_do_not_stand_in_each_others_way(users: &dyn Users) {
    assert!(users.add(&learner()).await.unwrap());
    assert!(users.add(&learner()).await.unwrap());
}

async fn an_id_is_taken_once(users: &dyn Users) {
    let first = learner();
    assert!(users.add(&first).await.unwrap());
    let mut second = with_email("late@example.org");
    second.user.id = first.user.id;
    assert!(!users.add(&second).await.unwrap());
    assert!(users.by_email("late@example.org").await.unwrap().is_none());
}

async fn no_person_is_the_system(users: &dyn Users) {
    let mut account = learner();
    account.user.role = Role::System;
    assert_eq!(code(users.add(&account).await), "user.role_reserved");
}

async fn unknown_ones_are_none(users: &dyn Users) {
    assert!(users.by_id(UserId::new()).await.unwrap().is_none());
    for nobody in ["", "nobody@example.org", "nul\0@example.org", "' or true --", "%"] {
        assert!(users.by_email(nobody).await.unwrap().is_none(), "{nobody:?}");
    }
}

async fn one_of_many_at_once_gets_the_address(users: &dyn Users) {
    let tries = (0..8).map(|_| async { users.add(&with_email("rush@example.org")).await.unwrap() });
    let added = futures_util::future::join_all(tries).await;
    assert_eq!(added.iter().filter(|added| **added).count(), 1);
}
