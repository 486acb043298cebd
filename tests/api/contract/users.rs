use flow_domain::UserId;
use flow_domain::users::{Account, Role, User, Username, Users};
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
    names_are_compared_without_case(users).await;
    a_temporary_name_is_taken_until_its_time_is_over(users).await;
    those_who_stay_are_listed_by_id(users).await;
    closing_and_roles_count_the_generation_up(users).await;
    a_hash_is_replaced_only_where_it_was(users).await;
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
            Account { disabled: true, ..Account::new(user.clone()).with_password("$2b$12$hash".into()) };
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

fn with_username(name: &str) -> Account {
    let mut account = learner();
    account.user.username = Some(name.into());
    account
}

fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

async fn names_are_compared_without_case(users: &dyn Users) {
    let account = with_username("Katherine");
    assert!(users.add(&account).await.unwrap());
    assert!(!users.add(&with_username("KATHERINE")).await.unwrap());
    let found = users.by_username(&name("katherinE")).await.unwrap().unwrap();
    assert_eq!(found.user, account.user);
    assert!(users.by_username(&name("kat")).await.unwrap().is_none());
}

fn temporary(name: &str, seconds: i64) -> Account {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let mut account = Account { expires_at: Some(end), ..with_username(name) };
    account.user.role = Role::Anonymous;
    account
}

async fn a_temporary_name_is_taken_until_its_time_is_over(users: &dyn Users) {
    let living = temporary("visitor", 3600);
    assert!(users.add(&living).await.unwrap());
    assert!(!users.add(&with_username("Visitor")).await.unwrap());
    assert!(!users.add(&temporary("VISITOR", 3600)).await.unwrap());
    assert_eq!(users.by_username(&name("visitor")).await.unwrap().unwrap().user.id, living.user.id);
    assert!(users.set_role(living.user.id, Role::Admin).await.unwrap().is_none());

    let gone = temporary("ghost", -1);
    assert!(users.add(&gone).await.unwrap());
    assert!(users.by_id(gone.user.id).await.unwrap().is_none());
    assert!(users.by_username(&name("ghost")).await.unwrap().is_none());
    assert!(users.set_disabled(gone.user.id, true).await.unwrap().is_none());
    let heir = with_username("Ghost");
    assert!(users.add(&heir).await.unwrap());
    assert_eq!(users.by_username(&name("ghost")).await.unwrap().unwrap().user, heir.user);
}

async fn those_who_stay_are_listed_by_id(users: &dyn Users) {
    let mut added = Vec::new();
    for _ in 0..3 {
        let account = learner();
        assert!(users.add(&account).await.unwrap());
        added.push(account.user.id);
    }
    assert!(users.add(&temporary("passer-by", 3600)).await.unwrap());
    let ids = |accounts: Vec<Account>| accounts.iter().map(|account| account.user.id).collect::<Vec<_>>();
    let all = users.list(None, 1000).await.unwrap();
    assert!(all.iter().all(|account| account.expires_at.is_none()));
    assert!(all.windows(2).all(|pair| pair[0].user.id < pair[1].user.id));
    assert_eq!(ids(users.list(Some(added[0]), 1).await.unwrap()), [added[1]]);
    assert_eq!(ids(users.list(Some(added[1]), 10).await.unwrap()), [added[2]]);
}

async fn closing_and_roles_count_the_generation_up(users: &dyn Users) {
    let account = learner();
    let id = account.user.id;
    assert!(users.add(&account).await.unwrap());
    let state = |account: Account| (account.disabled, account.user.role, account.generation);
    let disabled = users.set_disabled(id, true).await.unwrap().unwrap();
    assert_eq!(state(disabled), (true, Role::Learner, 1));
    assert_eq!(state(users.set_disabled(id, true).await.unwrap().unwrap()), (true, Role::Learner, 2));
    assert_eq!(state(users.set_disabled(id, false).await.unwrap().unwrap()), (false, Role::Learner, 2));
    assert_eq!(state(users.set_role(id, Role::Operator).await.unwrap().unwrap()), (false, Role::Operator, 3));
    assert_eq!(state(users.by_id(id).await.unwrap().unwrap()), (false, Role::Operator, 3));
    assert_eq!(code(users.set_role(id, Role::System).await.map(drop)), "user.role_reserved");
    assert!(users.set_disabled(UserId::new(), true).await.unwrap().is_none());
    assert!(users.set_role(UserId::new(), Role::Admin).await.unwrap().is_none());
}

async fn a_hash_is_replaced_only_where_it_was(users: &dyn Users) {
    let account = learner().with_password("old".into());
    let id = account.user.id;
    assert!(users.add(&account).await.unwrap());
    assert!(users.replace_hash(id, "old", "new").await.unwrap());
    assert!(!users.replace_hash(id, "old", "newer").await.unwrap());
    assert!(!users.replace_hash(UserId::new(), "old", "new").await.unwrap());
    assert_eq!(users.by_id(id).await.unwrap().unwrap().password_hash.as_deref(), Some("new"));
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
