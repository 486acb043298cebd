//! `flow-manager backup` and `restore`.

use std::path::PathBuf;

use clap::Args;

use super::{complain, print};
use crate::app::{self, StartError};
use crate::config::Config;

const AFTER_HELP: &str = "\
The file holds the database, learners' directories, objects and records of programs, and the key that the service made
itself: who has it can read all. A key set by FLOW_STATE_KEY is never in it. Objects in S3, and secrets in Vault, are
where they were. The database is of one moment; stop the service first for files of the same moment.

  flow-manager backup /backups/monday.tar
  flow-manager restore /backups/monday.tar      # with an empty state directory, or an empty database";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Backup {
    /// The backup; for `backup` it must not be there yet
    file: PathBuf,
    /// Leave out the key: whoever restores must have it from elsewhere
    #[arg(long)]
    without_key: bool,
}

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Restore {
    /// The backup; for `backup` it must not be there yet
    file: PathBuf,
}

pub fn backup(config: &Config, asked: &Backup) -> Result<(), StartError> {
    app::backup::backup(config, &asked.file, !asked.without_key)?;
    let size = std::fs::metadata(&asked.file).map_or(0, |file| file.len());
    print([format!("{}: {size} bytes", asked.file.display())]);
    Ok(())
}

pub fn restore(config: &Config, asked: &Restore) -> Result<(), StartError> {
    let restored = app::backup::restore(config, &asked.file)?;
    print([format!("Restored as of {:.0}.", restored.at)]);
    if let Some(note) = restored.note {
        complain(&note);
    }
    Ok(())
}
