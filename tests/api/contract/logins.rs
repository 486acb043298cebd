use std::time::Duration;

use flow_domain::users::{Family, LoginStore, RefreshHash, Rotation, Users};
use flow_domain::{FamilyId, UserId};
use flow_manager::driven::memory::{MemoryLogins, MemoryUsers};
use flow_manager::driven::postgres::{PgLogins, PgUsers};
use jiff::Timestamp;

use super::learner;
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryLogins::default(), &MemoryUsers::default()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    suite(&PgLogins::new(db.pool.clone()), &PgUsers::new(db.pool.clone())).await;
}

async fn suite(logins: &dyn LoginStore, users: &dyn Users) {
    let account = learner();
    assert!(users.add(&account).await.unwrap());
    let user = account.user.id;
    each_use_gives_the_next(logins, user).await;
    two_at_once_both_go_on_and_a_late_one_ends_it(logins, user).await;
    an_ended_login_refuses(logins, user).await;
    a_login_is_over_when_its_time_is(logins, user).await;
    one_of_many_uses_at_once_moves_it_on(logins, user).await;
    unknown_ones_are_refused(logins).await;
}

fn hash(text: &str) -> RefreshHash {
    RefreshHash::of(&format!("{text}-{}", std::thread::current().name().unwrap_or_default()))
}

/// Begun now, for an hour.
async fn begun(logins: &dyn LoginStore, user: UserId, first: &RefreshHash) -> Family {
    let expires_at = in_s(3600).round(jiff::Unit::Microsecond).unwrap();
    let family = Family { id: FamilyId::new(), user, generation: 3, expires_at };
    logins.begin(&family, first).await.unwrap();
    family
}

fn in_s(seconds: u64) -> Timestamp {
    Timestamp::now() + Duration::from_secs(seconds)
}

async fn each_use_gives_the_next(logins: &dyn LoginStore, user: UserId) {
    let (one, two, three) = (hash("a1"), hash("a2"), hash("a3"));
    let family = begun(logins, user, &one).await;
    assert_eq!(logins.family_of(&one).await.unwrap(), Some(family.clone()));
    assert_eq!(logins.rotate(&one, &two, in_s(0)).await.unwrap(), Rotation::Rotated(family.clone()));
    assert_eq!(logins.rotate(&two, &three, in_s(60)).await.unwrap(), Rotation::Rotated(family.clone()));
    assert_eq!(logins.family_of(&three).await.unwrap(), Some(family.clone()));
    // The first one again: stolen, and the newest goes with it.
    assert_eq!(logins.rotate(&one, &hash("a4"), in_s(61)).await.unwrap(), Rotation::Reused(family.clone()));
    assert_eq!(logins.rotate(&three, &hash("a5"), in_s(61)).await.unwrap(), Rotation::Refused);
    assert_eq!(logins.rotate(&one, &hash("a6"), in_s(61)).await.unwrap(), Rotation::Refused);
    assert!(!logins.end(family.id).await.unwrap());
}

async fn two_at_once_both_go_on_and_a_late_one_ends_it(logins: &dyn LoginStore, user: UserId) {
    let (first, one, two) = (hash("b1"), hash("b2"), hash("b3"));
    let family = begun(logins, user, &first).await;
    assert_eq!(logins.rotate(&first, &one, in_s(100)).await.unwrap(), Rotation::Rotated(family.clone()));
    assert_eq!(logins.rotate(&first, &two, in_s(109)).await.unwrap(), Rotation::Rotated(family.clone()));
    assert_eq!(logins.rotate(&two, &hash("b4"), in_s(200)).await.unwrap(), Rotation::Rotated(family.clone()));
    // The other tab's, of the same number, within the grace; and then too late.
    assert_eq!(logins.rotate(&one, &hash("b5"), in_s(205)).await.unwrap(), Rotation::Rotated(family.clone()));
    assert_eq!(logins.rotate(&one, &hash("b6"), in_s(300)).await.unwrap(), Rotation::Reused(family));
}

async fn an_ended_login_refuses(logins: &dyn LoginStore, user: UserId) {
    let first = hash("c1");
    let family = begun(logins, user, &first).await;
    assert!(logins.end(family.id).await.unwrap());
    assert!(!logins.end(family.id).await.unwrap());
    assert_eq!(logins.rotate(&first, &hash("c2"), in_s(0)).await.unwrap(), Rotation::Refused);
    assert_eq!(logins.family_of(&first).await.unwrap(), Some(family));
}

async fn a_login_is_over_when_its_time_is(logins: &dyn LoginStore, user: UserId) {
    let (first, second) = (hash("d1"), hash("d2"));
    let family = begun(logins, user, &first).await;
    assert_eq!(logins.rotate(&first, &second, in_s(3700)).await.unwrap(), Rotation::Refused);
    assert_eq!(logins.rotate(&first, &second, in_s(3000)).await.unwrap(), Rotation::Rotated(family));
    assert!(logins.forget(in_s(3700)).await.unwrap() >= 1);
    assert_eq!(logins.family_of(&second).await.unwrap(), None);
    assert_eq!(logins.forget(in_s(3700)).await.unwrap(), 0);
}

async fn one_of_many_uses_at_once_moves_it_on(logins: &dyn LoginStore, user: UserId) {
    let first = hash("e1");
    let family = begun(logins, user, &first).await;
    let at = in_s(1);
    let next: Vec<RefreshHash> = (0..8).map(|number| hash(&format!("e2-{number}"))).collect();
    let uses = next.iter().map(|next| logins.rotate(&first, next, at));
    let all = futures_util::future::join_all(uses).await;
    assert!(all.iter().all(|one| *one.as_ref().unwrap() == Rotation::Rotated(family.clone())));
    // All eight have the second number: each is the newest, or the one before within the grace.
    for token in &next {
        let used = logins.rotate(token, &hash(&format!("{token:p}")), at).await.unwrap();
        assert_eq!(used, Rotation::Rotated(family.clone()));
    }
}

async fn unknown_ones_are_refused(logins: &dyn LoginStore) {
    assert_eq!(logins.rotate(&hash("z1"), &hash("z2"), in_s(0)).await.unwrap(), Rotation::Refused);
    assert_eq!(logins.family_of(&hash("z1")).await.unwrap(), None);
    assert!(!logins.end(FamilyId::new()).await.unwrap());
}
