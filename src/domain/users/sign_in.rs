//! Signing in with an e-mail address and a password.

use std::sync::Arc;
use std::time::Duration;

use unicode_normalization::UnicodeNormalization;

use super::{Offered, Passwords, Tokens, User, Users};
use crate::{Error, Kind, Result};

/// RFC 5321's longest path; nothing longer can be an address.
const MAX_EMAIL_BYTES: usize = 254;

/// The service behind `/login`.
pub struct SignIn {
    users: Arc<dyn Users>,
    passwords: Arc<dyn Passwords>,
    tokens: Arc<dyn Tokens>,
    ttl: Duration,
}

/// Someone who has signed in.
#[derive(Clone)]
pub struct SignedIn {
    pub user: User,
    pub token: String,
    pub expires_in_s: u64,
}

impl SignIn {
    /// `ttl` is how long a token of `/login` lives.
    pub fn new(
        users: Arc<dyn Users>,
        passwords: Arc<dyn Passwords>,
        tokens: Arc<dyn Tokens>,
        ttl: Duration,
    ) -> Self {
        Self { users, passwords, tokens, ttl }
    }

    /// An unknown address, a wrong password, a disabled account and one without a password all get the same answer
    /// after the same work.
    pub async fn login(&self, email: &str, password: &str) -> Result<SignedIn> {
        let password = Offered::new(password)
            .map_err(|fault| Error::invalid("body.invalid", "The body does not fit.", vec![fault]))?;
        let email: String = email.nfc().collect();
        let account = match email.len() <= MAX_EMAIL_BYTES && !email.contains('\0') {
            true => self.users.by_email(&email).await?,
            false => None,
        };
        let hash = account.as_ref().and_then(|account| account.password_hash.as_deref());
        let right = self.passwords.verify(&password, hash).await?;
        match account {
            Some(account) if right && !account.disabled => self.admit(account.user),
            _ => Err(refused()),
        }
    }

    fn admit(&self, user: User) -> Result<SignedIn> {
        let token = self.tokens.issue(&user, self.ttl)?.token;
        Ok(SignedIn { user, token, expires_in_s: self.ttl.as_secs() })
    }
}

fn refused() -> Error {
    Error::new(Kind::Unauthenticated, "auth.refused", "The e-mail address or the password is wrong.")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use jiff::Timestamp;

    use super::*;
    use crate::UserId;
    use crate::users::{Account, Issued, Role, Verified};

    struct One(Account);

    #[async_trait]
    impl Users for One {
        async fn by_email(&self, email: &str) -> Result<Option<Account>> {
            Ok((self.0.user.email.as_deref() == Some(email)).then(|| self.0.clone()))
        }
        async fn by_id(&self, id: UserId) -> Result<Option<Account>> {
            Ok((self.0.user.id == id).then(|| self.0.clone()))
        }
        async fn add(&self, _: &Account) -> Result<bool> {
            Ok(false)
        }
    }

    /// A hash is the password itself; counts how often it was asked to work.
    #[derive(Default)]
    struct Plain(AtomicUsize);

    #[async_trait]
    impl Passwords for Plain {
        async fn hash(&self, password: &Offered) -> Result<String> {
            Ok(String::from_utf8_lossy(password.as_bytes()).into_owned())
        }
        async fn verify(&self, password: &Offered, hash: Option<&str>) -> Result<bool> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(hash.is_some_and(|hash| hash.as_bytes() == password.as_bytes()))
        }
    }

    struct Named;

    impl Tokens for Named {
        fn issue(&self, user: &User, _: Duration) -> Result<Issued> {
            Ok(Issued { token: user.id.to_string(), jti: "1".into(), expires_at: Timestamp::UNIX_EPOCH })
        }
        fn verify(&self, _: &str) -> Result<Verified> {
            Err(refused())
        }
    }

    fn account(disabled: bool, hash: Option<&str>) -> Account {
        let user = User {
            id: UserId::new(),
            email: Some("ann@example.org".into()),
            username: None,
            name: None,
            role: Role::Learner,
        };
        Account { user, password_hash: hash.map(str::to_owned), disabled }
    }

    /// The answer, and how often a password was checked for it.
    async fn login(account: Account, email: &str, password: &str) -> (Result<SignedIn>, usize) {
        let passwords = Arc::new(Plain::default());
        let service = SignIn::new(
            Arc::new(One(account)),
            passwords.clone(),
            Arc::new(Named),
            Duration::from_secs(3600),
        );
        let answer = service.login(email, password).await;
        (answer, passwords.0.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn the_right_password_gives_a_token() {
        let (answer, _) =
            login(account(false, Some("caf\u{e9}-1234")), "ann@example.org", "cafe\u{301}-1234").await;
        assert_eq!(answer.ok().map(|signed_in| signed_in.expires_in_s), Some(3600));
    }

    #[tokio::test]
    async fn every_refusal_has_the_same_words_and_the_same_work() {
        let cases = [
            (account(false, Some("aFtg&89M")), "nobody@example.org", "aFtg&89M"),
            (account(false, Some("aFtg&89M")), "ann@example.org", "aFtg&89m"),
            (account(true, Some("aFtg&89M")), "ann@example.org", "aFtg&89M"),
            (account(false, None), "ann@example.org", "aFtg&89M"),
            (account(false, Some("aFtg&89M")), "ann@example.org", ""),
        ];
        for (account, email, password) in cases {
            let (answer, checks) = login(account, email, password).await;
            let error = answer.err().expect("a refusal");
            assert_eq!((error.kind, error.public, checks), (refused().kind, refused().public, 1));
        }
    }

    #[tokio::test]
    async fn an_overlong_address_is_refused_like_any_other_without_asking_for_it() {
        let (answer, checks) =
            login(account(false, None), &format!("{}@example.org", "a".repeat(300)), "aFtg&89M").await;
        assert_eq!((answer.err().map(|error| error.code), checks), (Some("auth.refused"), 1));
    }

    #[tokio::test]
    async fn a_password_that_would_be_cut_does_not_fit() {
        let (answer, checks) = login(account(false, None), "ann@example.org", &"x".repeat(72)).await;
        let error = answer.err().expect("a refusal");
        assert_eq!((error.kind, error.faults[0].pointer.as_str(), checks), (Kind::Invalid, "/password", 0));
    }
}
