//! Rooms: people talk, each message is durable before it is answered, and everyone reads it in the same order,
//! whichever process they read by.

mod hub;
mod live;
mod membership;
mod message;
mod name;
mod service;
mod store;

pub use hub::Reader;
pub use live::{BUFFER_BYTES, Line};
pub use message::{MAX_TEXT, Message, Person, PersonKind, Text};
pub use name::{Place, RoomName};
pub use service::{RoomSettings, Rooms};
pub use store::{History, Leave, PAGE_BYTES, PAGE_MESSAGES, RoomStore, Signal, Wire};
