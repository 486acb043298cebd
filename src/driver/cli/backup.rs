//! `flow-manager backup` and `restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::terminal::telling;
use super::{complain, print};
use crate::app::{self, StartError};
use crate::config::Config;

const AFTER_HELP: &str = "\
The file holds the database, learners' directories, objects and records of programs, and the key that the service made
itself: who has it can read all. A key set by FLOW_STATE_KEY is never in it. Objects in S3, and secrets in Vault, are
where they were. The database is of one moment; stop the service first for files of the same moment.
How far it is: a bar on a terminal, a line a part elsewhere, both on standard error.

  flow-manager backup /backups/monday.tar
  flow-manager restore /backups/monday.tar      # with an empty state directory, or an empty database";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Backup {
    /// The backup, which must not be there yet
    file: PathBuf,
    /// Leave out the key: whoever restores must have it from elsewhere
    #[arg(long)]
    without_key: bool,
    /// One JSON object: {file, size_bytes}
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Restore {
    /// What `backup` wrote
    file: PathBuf,
    /// One JSON object: {at, note}; the note says what is still needed
    #[arg(long)]
    json: bool,
}

pub fn backup(config: &Config, asked: &Backup) -> Result<(), StartError> {
    app::backup::backup(config, &asked.file, !asked.without_key, &telling())?;
    let size = std::fs::metadata(&asked.file).map_or(0, |file| file.len());
    print([match asked.json {
        true => json!({"file": asked.file, "size_bytes": size}).to_string(),
        false => format!("{}: {size} bytes", asked.file.display()),
    }]);
    Ok(())
}

pub fn restore(config: &Config, asked: &Restore) -> Result<(), StartError> {
    let restored = app::backup::restore(config, &asked.file, &telling())?;
    if asked.json {
        print([json!({"at": restored.at, "note": restored.note}).to_string()]);
        return Ok(());
    }
    print([format!("Restored as of {:.0}.", restored.at)]);
    if let Some(note) = restored.note {
        complain(&note);
    }
    Ok(())
}
