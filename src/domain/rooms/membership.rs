//! Rooms of labs are for those in them for as long as they are.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::hub::Hub;
use super::name::Place;
use crate::labs::LabSessions;

/// Two looks decide, so that a stream outlives its membership by less than two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(700);

/// Ends the streams of those who are in their lab no more; does not end by itself.
pub(super) async fn watch(hub: &Hub, sessions: &dyn LabSessions) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for room in hub.all() {
            let Place::Lab(lab) = room.name.place() else { continue };
            let members = room.members();
            if members.is_empty() {
                continue;
            }
            // A store that is away says nothing of anybody.
            if let Ok(present) = sessions.members(lab, &members).await {
                room.dismiss_but(&present.into_iter().collect());
            }
        }
    }
}
