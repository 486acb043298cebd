//! Names and addresses that people choose.

use crate::Fault;

const MAX_USERNAME: usize = 32;
/// RFC 5321's longest path; nothing longer can be an address.
pub(super) const MAX_EMAIL_BYTES: usize = 254;

/// A username: 1 to 32 ASCII letters, digits, `.`, `_` and `-`. `Ann` and `ann` are one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Anything else is the fault `username.invalid`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(1..=MAX_USERNAME).contains(&text.len()) || !text.bytes().all(plain) {
            let detail = "A username is 1 to 32 ASCII letters, digits, dots, underscores and hyphens.";
            return Err(Fault::new("/username", "username.invalid", detail));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As names are compared: without case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// An e-mail address as it is compared: without case, whatever the script.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// What is wrong with an address that somebody registers; whether it is theirs is not known by looking at it.
pub fn email_fault(email: &str) -> Option<Fault> {
    let parts = email.rsplit_once('@');
    let strange = |letter: char| letter.is_whitespace() || letter.is_control();
    let good = parts.is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !domain.starts_with(['.', '-'])
            && !domain.ends_with(['.', '-'])
            && domain.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '-'))
    });
    (!good || email.len() > MAX_EMAIL_BYTES || email.contains(strange))
        .then(|| Fault::new("/email", "email.invalid", "This is not an e-mail address."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short_and_compared_without_case() {
        for good in ["a", "Ann.B_c-9", &"x".repeat(32)] {
            assert_eq!(Username::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Username::parse("Ann").unwrap().key(), "ann");
        let long = "x".repeat(33);
        for bad in ["", " ann", "ann b", "änn", "ann@b", "a/b", "a\0", "a\nb", "'--", "%", &long] {
            assert_eq!(Username::parse(bad).unwrap_err().code, "username.invalid", "{bad:?}");
        }
    }

    #[test]
    fn an_address_has_two_parts_and_no_space() {
        for good in ["a@b", "Ödön.x+y@Example.org", "o'neil@b-c.example"] {
            assert!(email_fault(good).is_none(), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b c", "a@.b", "a@b.", "a@b\n", "a\0@b", "a@b/c", &long] {
            assert!(email_fault(bad).is_some(), "{bad:?}");
        }
    }
}
