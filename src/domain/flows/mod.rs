//! Flows: what they are made of, what happens to one, and who makes it happen.

pub mod context;
pub mod definition;
pub mod registry;
pub mod task;

pub use context::Context;
pub use definition::{Definition, OnFailure};
pub use registry::Registry;
pub use task::{Effect, Outcome, Plan, Policy, Recovery, Stop, Task, TypedTask};

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    pub task: String,
    #[serde(default)]
    pub input: Option<serde_json::Value>,
}
