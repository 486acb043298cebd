//! What those who watch the service see.

mod metrics;
mod pages;
mod traces;
