//! JSON bodies. Rocket's own guard logs a body that fails to parse, passwords included; this one reads bytes, and
//! its errors hold no text of the body.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use flow_domain::flows::registry::schema_faults;
use flow_domain::{Error, Fault, Kind};
use jsonschema::Validator;
use rocket::data::{Data, FromData, Outcome, ToByteUnit};
use rocket::http::{ContentType, Status};
use rocket::request::Request;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, copy, sink};

use super::Problem;
use super::guards::{Refused, refuse};

pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Read and thrown away beyond the limit, so that a caller who sends before it listens still hears why it was
/// refused.
const MAX_DRAINED_BYTES: usize = 8 << 20;

/// A body that must be there.
pub struct JsonBody<T>(pub T);

/// A body that may be left out; then its media type does not matter either.
pub struct MaybeJsonBody<T>(pub Option<T>);

#[rocket::async_trait]
impl<'r, T: DeserializeOwned + JsonSchema + 'static> FromData<'r> for JsonBody<T> {
    type Error = Refused;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data).await {
            Ok(Some(body)) => Outcome::Success(Self(body)),
            Ok(None) => Outcome::Error(refuse(request, missing())),
            Err(problem) => Outcome::Error(refuse(request, problem)),
        }
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned + JsonSchema + 'static> FromData<'r> for MaybeJsonBody<T> {
    type Error = Refused;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data).await {
            Ok(body) => Outcome::Success(Self(body)),
            Err(problem) => Outcome::Error(refuse(request, problem)),
        }
    }
}

async fn read<T>(request: &Request<'_>, data: Data<'_>) -> Result<Option<T>, Problem>
where
    T: DeserializeOwned + JsonSchema + 'static,
{
    let bytes = bytes(data).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !request.content_type().is_some_and(is_json) {
        return Err(Problem::http(
            Status::UnsupportedMediaType,
            "body.not_json_type",
            "The body must be sent as `Content-Type: application/json`.",
        ));
    }
    Ok(Some(fit(parse(&bytes)?)?))
}

fn is_json(media: &ContentType) -> bool {
    let sub = media.sub().as_str().to_ascii_lowercase();
    media.top() == "application" && (sub == "json" || sub.ends_with("+json"))
}

async fn bytes(data: Data<'_>) -> Result<Vec<u8>, Error> {
    let mut stream = data.open(MAX_DRAINED_BYTES.bytes());
    let mut bytes = Vec::with_capacity(stream.hint().min(MAX_BODY_BYTES));
    let unread = |_| Error::new(Kind::Malformed, "body.unread", "The body ended before its time.");
    (&mut stream).take(MAX_BODY_BYTES as u64 + 1).read_to_end(&mut bytes).await.map_err(unread)?;
    if bytes.len() > MAX_BODY_BYTES {
        copy(&mut stream, &mut sink()).await.map_err(unread)?;
        return Err(Error::new(Kind::TooLarge, "body.too_large", "The body is larger than 1 MiB."));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let value = serde_json::from_slice(bytes).map_err(|error| {
        let public = format!("The body is not JSON: see line {}, column {}.", error.line(), error.column());
        Error::new(Kind::Malformed, "body.not_json", public)
    })?;
    // A NUL comes into a string by its escape only, and hardly any body has one.
    if bytes.windows(6).any(|six| six == b"\\u0000") {
        let mut faults = Vec::new();
        find_nul(&value, "", &mut faults);
        if !faults.is_empty() {
            return Err(unfit(faults));
        }
    }
    Ok(value)
}

/// PostgreSQL can store no NUL, neither in text nor in JSON.
fn find_nul(value: &Value, at: &str, faults: &mut Vec<Fault>) {
    let fault = |at: &str| Fault::new(at, "body.nul", "The NUL character cannot be stored.");
    match value {
        Value::String(text) if text.contains('\0') => faults.push(fault(at)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| find_nul(item, &format!("{at}/{index}"), faults));
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.contains('\0') {
                    true => faults.push(fault(at)),
                    false => find_nul(field, &pointer(at, name), faults),
                }
            }
        }
        _ => {}
    }
}

fn pointer(at: &str, field: &str) -> String {
    format!("{at}/{}", field.replace('~', "~0").replace('/', "~1"))
}

/// The schema finds every fault; serde, which stops at the first, then only refuses what a schema cannot say.
fn fit<T: DeserializeOwned + JsonSchema + 'static>(value: Value) -> Result<T, Error> {
    let faults = schema_faults(&validator::<T>(), &value, "", "body.invalid");
    if !faults.is_empty() {
        return Err(unfit(faults));
    }
    serde_json::from_value(value).map_err(|_| {
        // Serde's own words repeat the value.
        unfit(vec![Fault::new(
            "",
            "body.invalid",
            "A value is out of range or not of the form that is wanted.",
        )])
    })
}

/// One compiled schema a type, made at first use.
fn validator<T: JsonSchema + 'static>() -> Arc<Validator> {
    static VALIDATORS: RwLock<Option<HashMap<TypeId, Arc<Validator>>>> = RwLock::new(None);
    let known = VALIDATORS.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = known.as_ref().and_then(|known| known.get(&TypeId::of::<T>())) {
        return validator.clone();
    }
    drop(known);
    let schema = Value::from(schemars::schema_for!(T));
    let validator =
        Arc::new(jsonschema::validator_for(&schema).expect("a schema made from a type is a valid schema"));
    let mut known = VALIDATORS.write().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().insert(TypeId::of::<T>(), validator.clone());
    validator
}

fn unfit(faults: Vec<Fault>) -> Error {
    Error::invalid("body.invalid", "The body does not fit; `errors` lists every fault.", faults)
}

fn missing() -> Error {
    Error::new(Kind::Malformed, "body.missing", "This needs a JSON body.")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Shape {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "size")]
        _size: Option<u8>,
    }

    fn faults(body: &str) -> Vec<(String, String)> {
        let error = parse(body.as_bytes()).and_then(fit::<Shape>).unwrap_err();
        assert_eq!(error.kind, Kind::Invalid);
        error.faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
    }

    #[test]
    fn every_fault_is_listed_where_it_is() {
        let pointers: Vec<String> =
            faults(r#"{"size": "x", "a/b": 1, "c": 2}"#).into_iter().map(|it| it.0).collect();
        for pointer in ["/name", "/size", "/a~1b", "/c"] {
            assert!(pointers.iter().any(|found| found == pointer), "{pointer} in {pointers:?}");
        }
        assert_eq!(pointers.len(), 4);
    }

    #[test]
    fn no_fault_repeats_a_value() {
        for body in
            [r#"{"name": ["s3cret"]}"#, r#"{"name": "n", "size": "s3cret"}"#, r#"["s3cret"]"#, r#""s3cret""#]
        {
            assert!(faults(body).iter().all(|(_, detail)| !detail.contains("s3cret")), "{body}");
        }
    }

    #[test]
    fn what_the_schema_lets_through_and_serde_does_not_is_still_a_fault() {
        assert_eq!(faults(r#"{"name": "n", "size": 300}"#).len(), 1);
    }

    #[test]
    fn a_nul_is_found_wherever_it_is() {
        let error = parse(br#"{"a": [1, {"b/c": "x\u0000"}], "d\u0000": 1, "e": "\\u0000"}"#).unwrap_err();
        let pointers: Vec<&str> = error.faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a/1/b~1c", ""]);
    }

    #[test]
    fn what_is_not_json_is_told_by_its_place_alone() {
        for body in [r#"{"password": "aFtg&89M""#, "aFtg&89M", r#"{"a": "aFtg&89M" "b"}"#, &"[".repeat(200)] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind, Kind::Malformed);
            assert!(!error.to_string().contains("aFtg"), "{error}");
        }
    }
}
