//! The HTTP driver, by Rocket. One file a resource; each exports a [`Resource`], its routes and what the OpenAPI page
//! says of them, and `server` mounts them in one list.

pub mod answer;
mod at_hand;
mod auth;
mod backlog;
pub mod body;
mod catchers;
mod cookie;
pub mod edge;
mod event_stream;
mod flow_manager;
pub mod guards;
mod headers;
pub mod health;
mod idempotency;
mod lab_view;
mod labs;
mod leash;
mod login;
mod me;
pub mod metrics;
pub mod openapi;
mod openid;
mod patience;
mod pauses;
mod power_plants;
pub mod prefer;
pub mod problem;
pub mod query;
mod quiet;
mod request_meters;
pub mod requests;
mod room_stream;
mod rooms;
mod run_view;
mod runs;
pub mod server;
mod sessions;
mod site;
mod stay;
mod streams;
#[cfg(test)]
mod tests;
mod traced;
mod tutorial_view;
mod user_create;
mod users;
mod visitor;

pub use answer::{Answer, Handled};
pub use edge::Edge;
pub use openapi::{Operation, Resource};
pub use problem::Problem;
pub use quiet::worth_logging;
pub use server::{HttpSettings, Services};
pub use streams::{StreamSettings, Streams};
