//! Numbers as people write them in tables: exact decimals as far as they go, so that ten times 0.1 is 1.

use std::cmp::Ordering;

use serde_json::Value;

/// A number from a JSON number, or from a string that holds one, as every number of a CSV file does.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// `digits` divided by ten to the power of `scale`.
    Exact { digits: i128, scale: u32 },
    /// Written with an exponent, or too long to be exact.
    Float(f64),
}

/// More digits than this do not fit an `i128` for sure.
const MOST_DIGITS: usize = 38;

impl Number {
    pub const ZERO: Self = Self::Exact { digits: 0, scale: 0 };

    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::String(text) => Self::parse(text.trim()),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        // Rust also reads "inf" and "nan", which are words in a table.
        if !text.starts_with(['+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            || !text.ends_with(|c: char| c.is_ascii_digit() || c == '.')
        {
            return None;
        }
        Self::parse_exact(text)
            .or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Self::Float))
    }

    fn parse_exact(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let sign_and_digits = format!("{whole}{fraction}");
        let digits = sign_and_digits.trim_start_matches(['+', '-']);
        if digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let scale = u32::try_from(fraction.len()).ok()?;
        Some(Self::Exact { digits: sign_and_digits.parse().ok()?, scale })
    }

    pub fn plus(self, other: Self) -> Self {
        match self.aligned(other) {
            Some((a, b, scale)) => match a.checked_add(b) {
                Some(digits) => Self::Exact { digits, scale },
                None => Self::Float(self.as_f64() + other.as_f64()),
            },
            None => Self::Float(self.as_f64() + other.as_f64()),
        }
    }

    pub fn compare(self, other: Self) -> Ordering {
        match self.aligned(other) {
            Some((a, b, _)) => a.cmp(&b),
            None => self.as_f64().total_cmp(&other.as_f64()),
        }
    }

    /// As JSON: an integer where it is one and fits, else the nearest double.
    pub fn into_value(self) -> Value {
        if let Self::Exact { mut digits, mut scale } = self {
            while scale > 0 && digits % 10 == 0 {
                digits /= 10;
                scale -= 1;
            }
            if scale == 0
                && let Ok(whole) = i64::try_from(digits)
            {
                return Value::from(whole);
            }
        }
        // Null for what JSON cannot write: a sum of finite doubles that is not finite.
        Value::from(self.as_f64())
    }

    /// Both as digits of the same scale, unless one is a float or that would overflow.
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let (Self::Exact { digits: a, scale: a_scale }, Self::Exact { digits: b, scale: b_scale }) =
            (self, other)
        else {
            return None;
        };
        let scale = a_scale.max(b_scale);
        let lift = |digits: i128, from: u32| 10_i128.checked_pow(scale - from)?.checked_mul(digits);
        Some((lift(a, a_scale)?, lift(b, b_scale)?, scale))
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Float(number) => number,
            // The text is read to the nearest double; a division would round twice.
            Self::Exact { digits, scale } => {
                format!("{digits}e-{scale}").parse().expect("digits, e and an exponent are a number")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sum(values: &[Value]) -> Value {
        values
            .iter()
            .map(|value| Number::of(value).expect("a number"))
            .fold(Number::ZERO, Number::plus)
            .into_value()
    }

    #[test]
    fn decimals_add_up_exactly() {
        assert_eq!(sum(&vec![json!(0.1); 10]), json!(1));
        assert_eq!(sum(&[json!("0.1"), json!(" 0.2 ")]), json!(0.3));
        assert_eq!(sum(&[json!("31920000"), json!(-20000)]), json!(31_900_000));
        assert_eq!(sum(&[json!("5.50"), json!("+1.5")]), json!(7));
        assert_eq!(sum(&[]), json!(0));
    }

    #[test]
    fn what_is_not_exact_is_a_double() {
        assert_eq!(sum(&[json!("1e3"), json!(1)]), json!(1001.0));
        assert_eq!(sum(&[json!("9".repeat(38)), json!("9".repeat(38))]), json!(2e38));
        assert_eq!(sum(&[json!("1e308"), json!("1e308")]), Value::Null);
    }

    #[test]
    fn large_integers_are_told_apart() {
        let number = |text: &str| Number::of(&json!(text)).expect("a number");
        assert_eq!(number("9007199254740993").compare(number("9007199254740992")), Ordering::Greater);
        assert_eq!(number("1.0").compare(number("1")), Ordering::Equal);
        assert_eq!(number("-2").compare(number("1e1")), Ordering::Less);
    }

    #[test]
    fn words_are_no_numbers() {
        for text in ["", "nan", "inf", "-inf", "1,000", "0x10", "1 2", "-", ".", "1-2", "12 MW", "--1", "+-1"]
        {
            assert!(Number::of(&json!(text)).is_none(), "{text:?}");
        }
        for value in [json!(null), json!(true), json!([1])] {
            assert!(Number::of(&value).is_none(), "{value}");
        }
    }
}
