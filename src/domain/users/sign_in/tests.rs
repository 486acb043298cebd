use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::testing::{MemoryLogins, MemoryRevocations, MemoryUsers};
use crate::users::{Attempts, Identity, Issued, Parts, Passwords, Times, Unlimited, Users, Verified};

/// A hash is the password itself, an old one with an `!` before it; counts how often it was asked to work.
#[derive(Default)]
struct Plain(AtomicUsize);

#[async_trait]
impl Passwords for Plain {
    async fn hash(&self, password: &Offered) -> Result<String> {
        Ok(String::from_utf8_lossy(password.as_bytes()).into_owned())
    }
    async fn verify(&self, password: &Offered, hash: Option<&str>) -> Result<bool> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(hash.is_some_and(|hash| hash.trim_start_matches('!').as_bytes() == password.as_bytes()))
    }
    fn is_outdated(&self, hash: &str) -> bool {
        hash.starts_with('!')
    }
}

struct Named;

impl Tokens for Named {
    fn issue(&self, user: &User, _: Stamp, _: Duration) -> Result<Issued> {
        Ok(Issued { token: user.id.to_string(), jti: "1".into(), expires_at: Timestamp::UNIX_EPOCH })
    }
    fn verify(&self, _: &str) -> Result<Verified> {
        Err(refused())
    }
    fn public_keys(&self) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }
}

struct Door {
    users: Arc<MemoryUsers>,
    passwords: Arc<Plain>,
    identity: Identity,
}

impl Door {
    fn with(account: Account, open_signup: bool, attempts: Arc<dyn Attempts>) -> Self {
        let (users, passwords) = (Arc::new(MemoryUsers::default()), Arc::new(Plain::default()));
        users.put(account);
        let parts = Parts {
            users: users.clone(),
            passwords: passwords.clone(),
            tokens: Arc::new(Named),
            logins: Arc::new(MemoryLogins::default()),
            revocations: Arc::new(MemoryRevocations::default()),
            attempts,
        };
        let hour = Duration::from_secs(3600);
        let times = Times { token: hour, access: hour, refresh: hour };
        Self { users, passwords, identity: Identity::new(parts, times, open_signup) }
    }

    fn of(account: Account) -> Self {
        Self::with(account, true, Arc::new(Unlimited))
    }

    async fn email(&self, email: &str, password: &str) -> Result<SignedIn> {
        self.identity.sign_in.by_email(email, password, None).await
    }

    async fn name(&self, name: &str, password: &str) -> Result<SignedIn> {
        self.identity.sign_in.by_name(name, password, None).await
    }

    async fn temporary(&self, name: &str) -> Result<SignedIn> {
        self.identity.sign_in.by_name_alone(name, None).await
    }

    fn checks(&self) -> usize {
        self.passwords.0.load(Ordering::Relaxed)
    }
}

fn ann(disabled: bool, hash: Option<&str>) -> Account {
    let user = User {
        id: UserId::new(),
        email: Some("ann@example.org".into()),
        username: Some("Ann".into()),
        name: None,
        role: Role::Learner,
    };
    Account { password_hash: hash.map(str::to_owned), disabled, ..Account::new(user) }
}

fn code(answer: Result<SignedIn>) -> &'static str {
    answer.err().map_or("signed in", |error| error.code)
}

#[tokio::test]
async fn the_right_password_gives_a_token() {
    let door = Door::of(ann(false, Some("caf\u{e9}-1234")));
    let answer = door.email("ann@example.org", "cafe\u{301}-1234").await;
    assert_eq!(answer.ok().map(|signed_in| signed_in.expires_in_s), Some(3600));
    assert_eq!(code(door.name("ANN", "cafe\u{301}-1234").await), "signed in");
}

#[tokio::test]
async fn every_refusal_has_the_same_words_and_the_same_work() {
    let cases = [
        (ann(false, Some("aFtg&89M")), "nobody@example.org", "aFtg&89M"),
        (ann(false, Some("aFtg&89M")), "ann@example.org", "aFtg&89m"),
        (ann(true, Some("aFtg&89M")), "ann@example.org", "aFtg&89M"),
        (ann(false, None), "ann@example.org", "aFtg&89M"),
        (ann(false, Some("aFtg&89M")), "ann@example.org", ""),
    ];
    for (account, email, password) in cases {
        let door = Door::with(account, false, Arc::new(Unlimited));
        let error = door.email(email, password).await.expect_err("a refusal");
        assert_eq!((error.kind, error.public, door.checks()), (refused().kind, refused().public, 1));
        let name = email.split('@').next().unwrap();
        let error = door.name(name, password).await.expect_err("a refusal");
        assert_eq!((error.kind, error.public, door.checks()), (refused().kind, refused().public, 2));
    }
}

#[tokio::test]
async fn an_overlong_address_is_refused_like_any_other_without_asking_for_it() {
    let door = Door::of(ann(false, None));
    let answer = door.email(&format!("{}@example.org", "a".repeat(300)), "aFtg&89M").await;
    assert_eq!((code(answer), door.checks()), ("auth.refused", 1));
}

#[tokio::test]
async fn a_password_that_would_be_cut_does_not_fit() {
    let door = Door::of(ann(false, None));
    let error = door.email("ann@example.org", &"x".repeat(72)).await.expect_err("a refusal");
    assert_eq!(
        (error.kind, error.faults[0].pointer.as_str(), door.checks()),
        (Kind::Invalid, "/password", 0)
    );
}

#[tokio::test]
async fn an_unknown_name_with_a_password_becomes_a_learner_who_can_come_back() {
    let door = Door::of(ann(false, None));
    let made = door.name("bob", "aFtg&89M").await.expect("a new account").user;
    assert_eq!((made.role, made.username.as_deref()), (Role::Learner, Some("bob")));
    assert_eq!(door.name("BOB", "aFtg&89M").await.ok().map(|back| back.user.id), Some(made.id));
    assert_eq!(code(door.name("bob", "another-1").await), "auth.refused");
    let weak = door.name("carol", "12345678").await.expect_err("a refusal");
    assert_eq!((weak.kind, weak.faults[0].code.as_str()), (Kind::Invalid, "password.trivial"));
}

#[tokio::test]
async fn with_sign_up_closed_an_unknown_name_is_as_good_as_a_wrong_password() {
    let door = Door::with(ann(false, None), false, Arc::new(Unlimited));
    assert_eq!((code(door.name("bob", "aFtg&89M").await), door.checks()), ("auth.refused", 1));
    let refused = door.identity.accounts.register("bob@example.org", "aFtg&89M", None, None).await;
    assert_eq!(refused.unwrap_err().code, "auth.signup_closed");
    assert_eq!(code(door.temporary("bob").await), "signed in");
}

#[tokio::test]
async fn a_name_is_one_persons_whether_for_an_hour_or_for_good() {
    let door = Door::of(ann(false, None));
    assert_eq!(code(door.temporary("aNN").await), "auth.name_taken");
    let visitor = door.temporary("Zoe").await.expect("a temporary user").user;
    assert_eq!((visitor.role, visitor.username.as_deref()), (Role::Anonymous, Some("Zoe")));
    assert_eq!(code(door.temporary("zoe").await), "auth.name_taken");
    assert_eq!(code(door.name("zoe", "aFtg&89M").await), "auth.refused");
    // Her time is over.
    let mut account = door.users.by_id(visitor.id).await.unwrap().unwrap();
    account.expires_at = Some(Timestamp::now());
    door.users.put(account);
    assert_eq!(code(door.name("zoe", "aFtg&89M").await), "signed in");
    assert_eq!(code(door.temporary("a b").await), "body.invalid");
}

#[tokio::test]
async fn anonymous_ones_are_each_their_own_and_have_no_account() {
    let door = Door::of(ann(false, None));
    let (one, two) = (door.identity.sign_in.anonymous().unwrap(), door.identity.sign_in.anonymous().unwrap());
    assert_eq!((one.user.role, &one.user.username), (Role::Anonymous, &None));
    assert_ne!(one.user.id, two.user.id);
    assert!(door.users.by_id(one.user.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_hash_of_a_lower_cost_is_renewed_when_the_password_is_known() {
    let account = ann(false, Some("!aFtg&89M"));
    let id = account.user.id;
    let door = Door::of(account);
    assert_eq!(code(door.email("ann@example.org", "wrong-one").await), "auth.refused");
    let hash = async || door.users.by_id(id).await.unwrap().unwrap().password_hash;
    assert_eq!(hash().await.as_deref(), Some("!aFtg&89M"));
    assert_eq!(code(door.email("ann@example.org", "aFtg&89M").await), "signed in");
    assert_eq!(hash().await.as_deref(), Some("aFtg&89M"));
}

/// Refuses whoever it is asked about.
struct Never;

impl Attempts for Never {
    fn may_try(&self, _: &str, _: Option<IpAddr>) -> Result<()> {
        Err(Error::new(Kind::TooMany, "auth.too_many", "Too many."))
    }
    fn failed(&self, _: &str, _: Option<IpAddr>) {}
    fn may_open(&self, _: Option<IpAddr>) -> Result<()> {
        Err(Error::new(Kind::TooMany, "auth.too_many", "Too many."))
    }
    fn may_show(&self, _: Option<IpAddr>) -> Result<()> {
        Err(Error::new(Kind::TooMany, "auth.too_many", "Too many."))
    }
}

#[tokio::test]
async fn who_has_tried_too_often_is_refused_before_any_work() {
    let door = Door::with(ann(false, Some("aFtg&89M")), true, Arc::new(Never));
    assert_eq!(code(door.email("ann@example.org", "aFtg&89M").await), "auth.too_many");
    assert_eq!(code(door.name("ann", "aFtg&89M").await), "auth.too_many");
    assert_eq!(code(door.name("bob", "aFtg&89M").await), "auth.too_many");
    assert_eq!(code(door.temporary("bob").await), "auth.too_many");
    assert_eq!(door.checks(), 0);
}
