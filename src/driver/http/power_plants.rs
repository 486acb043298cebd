//! The largest power plants, of what was ingested.

use std::ops::RangeInclusive;

use flow_domain::power_plants::{CachedAnswer, From, States, TopPage, TopQuery};
use flow_domain::users::Role;
use flow_domain::{Error, Fault, Kind};
use rocket::http::{Method, Status};
use rocket::{State, get, routes};
use serde_json::json;

use super::at_hand::AtHand;
use super::guards::Learner;
use super::query::Query;
use super::{Answer, Handled, Operation, Resource, Services};

const DEFAULT_LIMIT: i64 = 10;
const LIMITS: RangeInclusive<i64> = 1..=100;
/// What lies behind is skipped row by row.
const PAGES: RangeInclusive<i64> = 1..=10_000;
const YEARS: RangeInclusive<i64> = 1900..=2200;

pub(super) fn resource() -> Resource {
    let whole = |bounds: &RangeInclusive<i64>| json!({"type": "integer", "minimum": bounds.start(), "maximum": bounds.end()});
    let cached = |operation: Operation| {
        operation
            .header("ETag", "Of the body; give it back as If-None-Match")
            .header("X-Cache", "`hit` or `miss`")
            .answers_with(304, "", "The body is the one that If-None-Match names")
    };
    let top = Operation::new(Method::Get, "/api/power-plants/top", "The plants that generated most")
        .role(Role::Learner)
        .query("limit", "Plants a page, 10 when left out", whole(&LIMITS))
        .query("page", "From 1, which it is when left out", whole(&PAGES))
        .query(
            "state",
            "Only of this one: two letters",
            json!({"type": "string", "pattern": "^[A-Za-z]{2}$"}),
        )
        .query("year", "Only of this one", whole(&YEARS))
        .takes_header("If-None-Match", "ETags of answers that are at hand")
        .answers::<TopPage>(200, "A page of them");
    let states = Operation::new(Method::Get, "/api/power-plants/states", "The states that have plants")
        .role(Role::Learner)
        .takes_header("If-None-Match", "ETags of answers that are at hand")
        .answers::<States>(200, "By name");
    Resource { routes: routes![top, states], operations: vec![cached(top), cached(states)] }
}

#[get("/api/power-plants/top")]
async fn top(services: &State<Services>, _learner: Learner, query: Query, at_hand: AtHand) -> Handled {
    answer(services.plants.top(asked(&query)?).await?, &at_hand)
}

#[get("/api/power-plants/states")]
async fn states(services: &State<Services>, _learner: Learner, query: Query, at_hand: AtHand) -> Handled {
    query.only(&[])?;
    answer(services.plants.states().await?, &at_hand)
}

/// Every fault at once, each by its parameter's name.
fn asked(query: &Query) -> Result<TopQuery, Error> {
    let mut faults = query.faults(&["limit", "page", "state", "year"]);
    let mut number = |name: &str, bounds: RangeInclusive<i64>, default: Option<i64>| {
        query
            .number(name, bounds)
            .unwrap_or_else(|error| {
                faults.push(Fault::new(format!("/{name}"), error.code, error.public));
                None
            })
            .or(default)
    };
    let limit = number("limit", LIMITS, Some(DEFAULT_LIMIT));
    let page = number("page", PAGES, Some(1));
    let year = number("year", YEARS, None);
    let letters = |text: &str| {
        let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        two.then(|| text.to_ascii_uppercase())
    };
    let state = query.parsed("state", "two letters, such as CA", letters).unwrap_or_else(|error| {
        faults.push(Fault::new("/state", error.code, error.public));
        None
    });
    if !faults.is_empty() {
        let public = "The query does not fit.";
        return Err(Error { faults, ..Error::new(Kind::Malformed, "query.invalid", public) });
    }
    // All within their bounds.
    let small = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(1);
    let year = year.and_then(|year| i32::try_from(year).ok());
    Ok(TopQuery { limit: small(limit), page: small(page), state, year })
}

fn answer(cached: CachedAnswer, at_hand: &AtHand) -> Handled {
    let CachedAnswer { body, etag, from } = cached;
    let answer = match at_hand.has(&etag) {
        true => Answer::of(Status::NotModified, None),
        false => Answer::of(Status::Ok, Some(body)),
    };
    let from = if from == From::Cache { "hit" } else { "miss" };
    // Kept by the caller alone, and asked about each time.
    Ok(answer.header("ETag", etag).header("X-Cache", from).header("Cache-Control", "private, no-cache"))
}
