//! The command line, by the program itself.

mod backup;
mod client;
mod json;
