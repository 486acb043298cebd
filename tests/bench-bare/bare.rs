//! Rocket handlers that do nothing, for `tests/bench-auth` and `tests/bench-ingest` to measure beside: `bare PORT`.

use rocket::config::{Config, LogLevel};
use rocket::http::ContentType;
use rocket::{get, routes};
use serde::Serialize;

/// As long as an answer of `/auth/verify`.
const BODY: &str = r#"{"valid":true,"user":{"id":"01970000-0000-7000-8000-000000003784","email":"user3784mail@gmail.com","username":null,"name":"Demo","role":"operator"}}"#;

#[get("/")]
fn bare() -> (ContentType, &'static str) {
    (ContentType::JSON, BODY)
}

#[derive(Clone, Copy, Serialize)]
struct Plant {
    plant_name: &'static str,
    state: &'static str,
    net_generation: i64,
    primary_fuel: &'static str,
    year: i32,
}

#[derive(Serialize)]
struct Page {
    data: [Plant; 10],
    total: i64,
    page: u32,
    limit: u32,
}

/// As long as an answer of `/api/power-plants/top`, and written as JSON for each request, as Rocket does it.
#[get("/top")]
fn top() -> (ContentType, String) {
    let plant = Plant {
        plant_name: "Grand Coulee Dam",
        state: "WA",
        net_generation: 20_989_921,
        primary_fuel: "Hydro",
        year: 2018,
    };
    let page = Page { data: [plant; 10], total: 8_909, page: 1, limit: 10 };
    (ContentType::JSON, serde_json::to_string(&page).unwrap_or_default())
}

fn main() -> Result<(), String> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).ok_or("usage: bare PORT")?;
    let config = Config { port, log_level: LogLevel::Off, ..Config::release_default() };
    rocket::execute(async {
        rocket::custom(config)
            .mount("/", routes![bare, top])
            .launch()
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
}
