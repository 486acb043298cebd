//! `flow-manager key`: the keys that sign tokens, where the service made them itself.

use clap::Subcommand;

use super::print;
use crate::app::StartError;
use crate::app::signing::{self, Shown};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key; it signs in a minute, and tokens of the old one are good until they end
    Rotate {
        /// The old key is known to others: the new one signs at once and all tokens end; refresh tokens stay good
        #[arg(long)]
        leaked: bool,
    },
    /// Show the keys whose tokens are taken: name (kid), what it does, and until when
    List,
}

/// Does it and prints the keys, the newest first.
pub fn run(config: &Config, command: KeyCommand) -> Result<(), StartError> {
    let keys = match command {
        KeyCommand::Rotate { leaked } => signing::rotate(config, leaked)?,
        KeyCommand::List => signing::list(config)?,
    };
    let mut older = false;
    print(keys.into_iter().map(|Shown { kid, key }| {
        let does = match (key.signs, older) {
            (false, _) => format!("signs from {:.0}", key.signs_from),
            (true, false) => "signs".to_owned(),
            (true, true) => "is taken".to_owned(),
        };
        older |= key.signs;
        let end = key.ends_at.map(|end| format!(", ends {end:.0}")).unwrap_or_default();
        format!("{kid} {does}{end}")
    }));
    Ok(())
}
