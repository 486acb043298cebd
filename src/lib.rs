//! Flow Manager, a sequential task flow service: durable, undoable, watched live over plain HTTP.

pub mod driven;
pub mod driver;
