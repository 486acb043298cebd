//! Identifiers as types, so that a user's id cannot be passed where a run's is wanted.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, UUIDv7: later ids sort after earlier ones.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Reads the hyphenated form; anything else is none.
            pub fn parse(text: &str) -> Option<Self> {
                (text.len() == 36).then(|| Uuid::parse_str(text).ok().map(Self)).flatten()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One run of a flow.
    RunId
);
id!(
    /// A user, temporary ones included.
    UserId
);
id!(
    /// A lab session: one learner in one lab, from launch to finish.
    SessionId
);
id!(
    /// A process that drives runs; a new one at each start.
    WorkerId
);
id!(
    /// One login: an access token and those that replace it, until it is ended.
    FamilyId
);
id!(
    /// An event, the same however often it is delivered.
    EventId
);
