//! What the end of a command means.

use flow_domain::ports::{Exit, TerraformEnd};

use super::Answer;
use super::doubt::Doubt;
use super::follow::Ran;
use super::place::Place;

/// Nothing was touched now; but what an earlier command made may still be there.
pub(super) fn refuse(place: &Place, sentence: &str) -> TerraformEnd {
    match place.is_touched() {
        true => TerraformEnd::Failed(sentence.to_owned()),
        false => TerraformEnd::Untouched(sentence.to_owned()),
    }
}

/// Every failure has exit code 1, so the diagnostics say what it was.
pub(super) fn judge(place: &Place, ran: &Ran) -> Answer<()> {
    let Ran { exit, stream, plan_timed_out } = ran;
    if let Some(version) = stream.unsupported() {
        return Err(TerraformEnd::Failed(format!(
            "This Terraform reports in a format we cannot read: {version}."
        )));
    }
    // Stopped too late to matter.
    if exit.code == Some(0) {
        return Ok(());
    }
    if exit.signal.is_some() && place.is_touched() {
        return Err(killed_end(place));
    }
    if *plan_timed_out {
        return Err(refuse(place, "Terraform was stopped: it took too long to find out what is to be done."));
    }
    if let Some(end) = stopped(exit) {
        return Err(end);
    }
    let sentence = match (stream.errors(), exit.signal) {
        ([], Some(signal)) => format!("Terraform was ended by signal {signal}."),
        ([], None) => format!("Terraform ended with code {} and gave no reason.", exit.code.unwrap_or(-1)),
        (errors, _) => format!("Terraform failed: {}.", errors.join("; ")),
    };
    Err(refuse(place, &sentence))
}

/// A command was killed; before it touched anything, that is no more than a failure.
pub(super) fn killed_end(place: &Place) -> TerraformEnd {
    match Doubt::of(place) {
        Some(doubt) => doubt.end(),
        None => refuse(place, "Terraform was killed before it changed anything."),
    }
}

pub(super) fn stopped(exit: &Exit) -> Option<TerraformEnd> {
    (exit.cancelled || exit.timed_out).then_some(TerraformEnd::Stopped { timed_out: exit.timed_out })
}

/// `init` speaks plain text: its first error says most.
pub(super) fn init_failure(exit: &Exit) -> String {
    let error = exit.stderr.lines().chain(exit.stdout.lines()).find_map(|line| line.split_once("Error: "));
    let why = error.map_or("the log has its words", |(_, why)| why.trim());
    format!("Terraform could not be set up for this lab: {why}.")
}
