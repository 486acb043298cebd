//! `flow-manager migrate`.

use clap::Args;
use serde_json::json;

use super::print;
use crate::app::{self, StartError};
use crate::config::Config;

#[derive(Args, Debug)]
pub struct Migrate {
    /// {"applied": […]} instead of a sentence
    #[arg(long)]
    json: bool,
}

pub fn run(config: Config, asked: &Migrate) -> Result<(), StartError> {
    let applied = app::migrate(config)?;
    print([match applied.as_slice() {
        applied if asked.json => json!({"applied": applied}).to_string(),
        [] => "The schema is up to date.".to_owned(),
        applied => format!("Applied: {}", applied.join(", ")),
    }]);
    Ok(())
}
