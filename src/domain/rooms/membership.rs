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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::UserId;
    use crate::rooms::live::LiveRoom;
    use crate::rooms::message::{Person, PersonKind};
    use crate::rooms::name::RoomName;

    #[test]
    fn whoever_is_back_at_the_next_look_keeps_reading() {
        let room = LiveRoom::new(RoomName::parse("lab.waves").unwrap(), 0);
        let ann = Person { id: UserId::new(), name: "ann".to_owned(), kind: PersonKind::Registered };
        let id = ann.id;
        let seat = room.sit(1, ann.clone(), true, 0);
        let operator = room.sit(2, ann, false, 0);
        let (here, away) = (HashSet::from([id]), HashSet::new());
        for _ in 0..3 {
            room.dismiss_but(&away);
            room.dismiss_but(&here);
            assert!(!seat.ended(), "a reset has nobody in the lab for one look");
        }
        room.dismiss_but(&away);
        room.dismiss_but(&away);
        assert!(seat.ended());
        assert!(!operator.ended(), "who reads by their role is no member");
    }
}
