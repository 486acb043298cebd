//! A Rocket handler that does nothing, for `tests/bench-auth` to measure beside: `bare PORT`.

use rocket::config::{Config, LogLevel};
use rocket::http::ContentType;
use rocket::{get, routes};

/// As long as an answer of `/auth/verify`.
const BODY: &str = r#"{"valid":true,"user":{"id":"01970000-0000-7000-8000-000000003784","email":"user3784mail@gmail.com","username":null,"name":"Demo","role":"operator"}}"#;

#[get("/")]
fn bare() -> (ContentType, &'static str) {
    (ContentType::JSON, BODY)
}

fn main() -> Result<(), String> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).ok_or("usage: bare PORT")?;
    let config = Config { port, log_level: LogLevel::Off, ..Config::release_default() };
    rocket::execute(async {
        rocket::custom(config)
            .mount("/", routes![bare])
            .launch()
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
}
