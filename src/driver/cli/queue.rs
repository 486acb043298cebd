//! `flow-manager queue dead`: the events that a consumer could not deal with, and what to do about them.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use flow_domain::EventId;
use serde_json::{Value, json};

use crate::app::StartError;
use crate::app::dead_letters::{Act, Letter, Which, act};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// Look at dead letters, deliver them again, or forget them
    #[command(subcommand)]
    Dead(DeadCommand),
}

#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Show them: consumer, event, topic, deliveries, when it was given up, and why
    List {
        /// Of this consumer only
        #[arg(long)]
        consumer: Option<String>,
        /// One JSON object a line, with the event's data
        #[arg(long)]
        json: bool,
    },
    /// Deliver again, as if for the first time
    Retry(Meant),
    /// Forget
    Drop(Meant),
}

#[derive(Debug, Args)]
pub struct Meant {
    /// Ids of events
    #[arg(required_unless_present = "all", conflicts_with = "all", value_parser = id)]
    events: Vec<EventId>,
    /// Every dead letter there is, or every one of the consumer
    #[arg(long)]
    all: bool,
    /// Of this consumer only: two may have given up the same event
    #[arg(long)]
    consumer: Option<String>,
    /// One JSON object a line, with the event's data
    #[arg(long)]
    json: bool,
}

fn id(text: &str) -> Result<EventId, String> {
    EventId::parse(text).ok_or_else(|| "is not the id of an event".to_owned())
}

/// Does it and prints the dead letters it was done to; an id that is none's is a failure.
pub fn run(config: &Config, QueueCommand::Dead(command): QueueCommand) -> Result<(), StartError> {
    let (meant, what) = match command {
        DeadCommand::List { consumer, json } => {
            let letters = act(config, &Which { consumer, events: vec![] }, Act::Look)?;
            show(&letters, json);
            return Ok(());
        }
        DeadCommand::Retry(meant) => (meant, Act::Retry),
        DeadCommand::Drop(meant) => (meant, Act::Drop),
    };
    let which = Which { consumer: meant.consumer, events: meant.events };
    let letters = act(config, &which, what)?;
    show(&letters, meant.json);
    let is_there = |id: &&EventId| letters.iter().any(|letter| letter.letter.event.id == **id);
    let missing: Vec<String> =
        which.events.iter().filter(|id| !is_there(id)).map(EventId::to_string).collect();
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(StartError::new(format!("There is no dead letter {}.", missing.join(", ")))),
    }
}

fn show(letters: &[Letter], as_json: bool) {
    let mut out = io::stdout().lock();
    // A reader that has seen enough, such as `head`, is no failure.
    let mut lines = letters.iter().map(|letter| match as_json {
        true => object(letter).to_string(),
        false => line(letter),
    });
    lines.try_for_each(|line| writeln!(out, "{line}")).unwrap_or_default();
}

fn object(Letter { consumer, letter }: &Letter) -> Value {
    json!({
        "consumer": consumer,
        "event": letter.event,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "at": letter.at,
    })
}

/// Reasons may hold anything: what would break the line or move the cursor is shown as a space.
fn line(Letter { consumer, letter }: &Letter) -> String {
    let (event, attempts, at) = (&letter.event, letter.attempts, letter.at);
    let text = format!("{consumer} {} {} {attempts} {at} {}", event.id, event.topic, letter.reason);
    text.replace(char::is_control, " ")
}
