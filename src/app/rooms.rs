//! Rooms in the database, where all replicas find them.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::rooms::{History, RoomSettings, Rooms};

use super::redis::Redis;
use super::stores::Stores;
use crate::config::Config;
use crate::driven::postgres::{PgLabSessions, PgRoomStore};

/// Replicas tell each other of messages by Redis where there is one.
pub(super) fn assemble(config: &Config, stores: &Stores, redis: &Redis) -> Arc<Rooms> {
    let store = PgRoomStore::new(stores.pool.clone(), &stores.session);
    let store = match redis.wire() {
        Some(wire) => store.with_wire(wire),
        None => store,
    };
    let sessions = Arc::new(PgLabSessions::new(stores.pool.clone()));
    let days = Duration::from_secs(24 * 3600) * config.rooms.history_days.get();
    let history = History { messages: config.rooms.history_messages.get(), age: days };
    let settings = RoomSettings { history, posts_per_minute: config.rooms.posts_per_minute };
    Arc::new(Rooms::new(Arc::new(store), sessions, settings))
}
