//! What can be done in rooms, and by whom.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::hub::{Hub, Reader};
use super::membership::watch;
use super::name::Place;
use super::store::{History, Leave, RoomStore, Signal};
use super::{Message, Person, RoomName, Text};
use crate::labs::LabSessions;
use crate::users::{Caller, Role};
use crate::{Error, Kind, Result, UserId};

/// What a lost notification costs at most.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two reports of who came and went.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// A process that says nothing for much longer is taken for dead.
const ALIVE_EVERY: Duration = Duration::from_secs(5);
/// What is beyond the history is never shown, so it can wait to be deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug)]
pub struct RoomSettings {
    pub history: History,
    /// A user may post so many messages a minute by this process, a sixth of them at once.
    pub posts_per_minute: NonZeroU32,
}

/// The service behind `/room`.
pub struct Rooms {
    store: Arc<dyn RoomStore>,
    sessions: Arc<dyn LabSessions>,
    hub: Arc<Hub>,
    posts: DefaultKeyedRateLimiter<UserId>,
    history: History,
    process: Uuid,
}

impl Rooms {
    pub fn new(store: Arc<dyn RoomStore>, sessions: Arc<dyn LabSessions>, settings: RoomSettings) -> Self {
        let burst = NonZeroU32::new(settings.posts_per_minute.get() / 6).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(settings.posts_per_minute).allow_burst(burst);
        Self {
            hub: Hub::new(store.clone(), settings.history),
            store,
            sessions,
            posts: RateLimiter::keyed(quota),
            history: settings.history,
            process: Uuid::now_v7(),
        }
    }

    /// A stream of what is said after message `after`, or from now on.
    pub async fn open(
        &self,
        caller: &Caller,
        person: Person,
        room: RoomName,
        after: Option<i64>,
    ) -> Result<Reader> {
        self.admit(caller, &room).await?;
        let member = caller.role < Role::Operator && matches!(room.place(), Place::Lab(_));
        self.hub.open(person, member, room, after).await
    }

    /// The message, once it is durable.
    pub async fn post(&self, caller: &Caller, from: &Person, room: &RoomName, text: &str) -> Result<Message> {
        let text = Text::parse(text)?;
        self.admit(caller, room).await?;
        if let Err(until) = self.posts.check_key(&caller.id) {
            let wait = until.wait_time_from(governor::clock::Clock::now(self.posts.clock()));
            let mut error =
                Error::new(Kind::TooMany, "room.too_fast", "You post too fast; try again shortly.");
            error.retry_after_s = Some(wait.as_secs() + 1);
            return Err(error);
        }
        let message = self.store.post(room, from, &text).await?;
        if let Some(live) = self.hub.room(room) {
            live.reaches(message.id);
        }
        Ok(message)
    }

    /// Takes a message out of the history, for its author and for operators. Whoever has read it has read it.
    pub async fn delete(&self, caller: &Caller, room: &RoomName, id: i64) -> Result<()> {
        self.admit(caller, room).await?;
        let unknown = || Error::not_found("message.unknown", "There is no such message.");
        let message = self.store.message(room, id).await?.ok_or_else(unknown)?;
        if !caller.sees(message.from.id) {
            return Err(Error::forbidden(
                "message.not_yours",
                "Only its author or an operator deletes a message.",
            ));
        }
        self.store.delete(room, id).await?.then_some(()).ok_or_else(unknown)
    }

    /// Who reads a room, by whichever process, each person once, by name.
    pub async fn who(&self, caller: &Caller, room: &RoomName) -> Result<Vec<Person>> {
        self.admit(caller, room).await?;
        let here = self.hub.room(room).map(|live| live.people()).unwrap_or_default();
        let elsewhere = self.store.present(room, self.process).await?;
        let mut people: Vec<Person> = here.into_iter().chain(elsewhere).collect();
        people.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
        people.dedup_by_key(|person| person.id);
        Ok(people)
    }

    /// Ends the caller's streams of a room: here at once, elsewhere as soon as it is heard of.
    pub async fn leave(&self, caller: &Caller, room: &RoomName) -> Result<()> {
        let leave = self.store.leave(room, caller.id).await?;
        self.end(&leave);
        Ok(())
    }

    /// Rooms of labs and sessions are for those in them and for operators. A session is nobody else's business.
    async fn admit(&self, caller: &Caller, room: &RoomName) -> Result<()> {
        if caller.role >= Role::Operator {
            return Ok(());
        }
        match room.place() {
            Place::Open => Ok(()),
            Place::Lab(lab) => match self.sessions.live(caller.id, lab).await? {
                Some(_) => Ok(()),
                None => Err(Error::forbidden(
                    "room.forbidden",
                    "This room is for those in the lab: launch it first.",
                )),
            },
            Place::Session(id) => match self.sessions.session(id).await? {
                Some(session) if session.user == caller.id => Ok(()),
                _ => Err(Error::not_found("room.unknown", "There is no such room.")),
            },
        }
    }

    fn end(&self, leave: &Leave) {
        if let Some(live) = self.hub.room(&leave.room) {
            live.end(leave);
            self.hub.set_changed();
        }
    }

    /// Hears what other processes say and tells them who reads by this one; does not end by itself.
    pub async fn work(self: Arc<Self>) {
        tokio::join!(self.listen(), self.report(), self.prune(), watch(&self.hub, &*self.sessions));
    }

    async fn listen(&self) {
        let mut signals = self.store.signals();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = None;
        loop {
            tokio::select! {
                signal = next(&mut signals) => match signal {
                    Signal::Posted(room, number) => {
                        if let Some(live) = self.hub.room(&room) {
                            live.hint(number);
                        }
                    }
                    Signal::Left(leave) => self.end(&leave),
                    Signal::Anything => look.reset_immediately(),
                },
                _ = look.tick() => self.look(&mut left).await,
            }
        }
    }

    /// What no notification told. A store that is away is looked at the next time.
    async fn look(&self, left: &mut Option<i64>) {
        let live = self.hub.all();
        if let Ok(leaves) = self.store.leaves(*left).await {
            leaves.iter().for_each(|leave| self.end(leave));
            *left = Some(leaves.last().map_or(left.unwrap_or(0), |last| last.number));
        }
        if live.is_empty() {
            return;
        }
        let names: Vec<RoomName> = live.iter().map(|room| room.name.clone()).collect();
        for (name, head) in self.store.heads(&names).await.unwrap_or_default() {
            live.iter().filter(|room| room.name == name).for_each(|room| room.reaches(head));
        }
    }

    async fn report(&self) {
        let mut told = BTreeSet::new();
        let mut last: Option<Instant> = None;
        let mut ticks = interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let due = last.is_none_or(|last| last.elapsed() >= ALIVE_EVERY);
            if !self.hub.take_changed() && !due {
                continue;
            }
            match self.tell(&mut told).await {
                Ok(()) => last = Some(Instant::now()),
                Err(error) => {
                    log::debug!("who reads rooms here is not told: {error}");
                    self.hub.set_changed();
                }
            }
        }
    }

    async fn tell(&self, told: &mut BTreeSet<(RoomName, Person)>) -> Result<()> {
        let now = self.hub.everyone();
        let came: Vec<_> = now.difference(told).cloned().collect();
        let went: Vec<_> = told.difference(&now).map(|(room, person)| (room.clone(), person.id)).collect();
        if self.store.report(self.process, &came, &went).await? && !told.is_empty() {
            told.clear();
            self.hub.set_changed();
        } else {
            *told = now;
        }
        Ok(())
    }

    async fn prune(&self) {
        let mut ticks = interval(PRUNE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.posts.retain_recent();
            match self.store.prune(self.history).await {
                Ok(0) => {}
                Ok(messages) => log::info!("deleted {messages} messages beyond the history of rooms"),
                Err(error) => log::warn!("old messages of rooms were not deleted: {error}"),
            }
        }
    }

    /// Nobody reads by this process any more.
    pub async fn retire(&self) {
        if let Err(error) = self.store.retire(self.process).await {
            log::debug!("the end of this process is not told to readers of rooms: {error}");
        }
    }
}

/// A store that has stopped telling is looked at now and then.
async fn next(signals: &mut mpsc::Receiver<Signal>) -> Signal {
    match signals.recv().await {
        Some(signal) => signal,
        None => std::future::pending().await,
    }
}
