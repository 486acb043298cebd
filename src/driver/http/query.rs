//! Query parameters. Rocket's own typed ones turn a bad value into a 404 or a 422; here it is a 400 that names it.

use std::convert::Infallible;
use std::ops::RangeInclusive;

use flow_domain::{Error, Fault, Kind, Result};
use rocket::request::{FromRequest, Outcome, Request};

/// The largest number that every reader of JSON keeps as it is (RFC 8259, section 6).
pub(super) const LARGEST: i64 = (1 << 53) - 1;

/// The query, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Refuses parameters that are not among `names`, and one given twice.
    pub fn only(&self, names: &[&str]) -> Result<&Self> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let known = match names {
                    [] => "none".to_owned(),
                    names => names.join(", "),
                };
                return Err(bad(format!("There is no query parameter `{name}` here; known: {known}.")));
            }
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(bad(format!("The query parameter `{name}` is given twice.")));
            }
        }
        Ok(self)
    }

    /// Parameters that are not among `names` or given twice, each with its name.
    pub fn faults(&self, names: &[&str]) -> Vec<Fault> {
        let mut faults = vec![];
        for (at, pair) in self.0.iter().enumerate() {
            // Alone, and beside the first of its name, it is what it would be among all.
            let first = self.0[..at].iter().find(|(name, _)| *name == pair.0);
            let alone = Self(first.into_iter().chain([pair]).cloned().collect());
            if let Err(error) = alone.only(names) {
                faults.push(Fault::new(format!("/{}", pair.0), error.code, error.public));
            }
        }
        faults
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number within bounds.
    pub fn number(&self, name: &str, bounds: RangeInclusive<i64>) -> Result<Option<i64>> {
        self.parsed(name, &format!("a whole number from {} to {}", bounds.start(), bounds.end()), |text| {
            text.parse().ok().filter(|number| bounds.contains(number))
        })
    }

    /// `true` or `false`; absent is false.
    pub fn flag(&self, name: &str) -> Result<bool> {
        self.parsed(name, "`true` or `false`", |text| text.parse().ok()).map(|flag| flag.unwrap_or(false))
    }

    /// Any other value: `expected` finishes the sentence "must be …".
    pub fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => match parse(text) {
                Some(value) => Ok(Some(value)),
                None => Err(bad(format!("The query parameter `{name}` must be {expected}."))),
            },
        }
    }
}

fn bad(public: String) -> Error {
    Error::new(Kind::Malformed, "query.invalid", public)
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Query {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(
            request
                .query_fields()
                // A NUL can be in no stored text; taken out here it simply matches nothing.
                .map(|field| (field.name.source().to_string(), field.value.replace('\0', "\u{fffd}")))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Query {
        Query(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn unknown_and_repeated_parameters_are_named() {
        let names = &["limit", "cursor"];
        assert!(query(&[("limit", "5")]).only(names).is_ok());
        assert!(query(&[("limt", "5")]).only(names).unwrap_err().public.contains("`limt`"));
        assert!(query(&[("limit", "5"), ("limit", "6")]).only(names).unwrap_err().public.contains("twice"));
    }

    #[test]
    fn values_are_read_or_refused_with_what_was_expected() {
        let query = query(&[("limit", "501"), ("plan", "true"), ("wait", "x")]);
        assert_eq!(query.number("absent", 1..=5).unwrap(), None);
        assert_eq!(query.number("limit", 1..=1000).unwrap(), Some(501));
        assert!(query.number("limit", 1..=500).unwrap_err().public.contains("from 1 to 500"));
        assert_eq!((query.flag("plan").unwrap(), query.flag("absent").unwrap()), (true, false));
        assert_eq!(query.flag("wait").unwrap_err().kind, Kind::Malformed);
    }
}
