//! Flows: what they are made of ([`definition`], [`task`]), what happens to one ([`run`]), and who makes it
//! happen ([`engine`]).

pub mod catalogue;
pub mod check;
pub mod context;
pub mod definition;
pub mod engine;
pub mod event;
pub mod gate;
pub mod meters;
pub mod on_event;
pub mod outcome;
pub mod posted;
pub mod reference;
pub mod registry;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod service;
pub mod step;
pub mod store;
pub mod task;
pub mod why;

#[cfg(test)]
mod tests;

pub use catalogue::{Alias, Catalogue};
pub use context::Context;
pub use definition::{Definition, OnFailure};
pub use engine::{Engine, Lease};
pub use event::{Event, EventKind};
pub use gate::{Gate, Pause};
pub use outcome::{OrStop, Outcome, Reason, Recovery, Stop};
pub use registry::Registry;
pub use run::{Cause, Run, RunError, RunStatus};
pub use service::{Flows, Started};
pub use step::{Step, StepStatus, UndoStatus};
pub use store::FlowStore;
pub use task::{Effect, Plan, Policy, Task, TypedTask};
