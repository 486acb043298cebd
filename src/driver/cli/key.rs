//! `flow-manager key`: the keys that sign tokens, where the service made them itself.

use clap::{Args, Subcommand};
use serde_json::json;

use super::print;
use crate::app::StartError;
use crate::app::signing::{self, Shown};
use crate::config::Config;

#[derive(Args, Debug)]
pub struct KeyCommand {
    /// One JSON object a line: {kid, state, signs_from, ends_at}
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
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
pub fn run(config: &Config, KeyCommand { json, what }: KeyCommand) -> Result<(), StartError> {
    let keys = match what {
        What::Rotate { leaked } => signing::rotate(config, leaked)?,
        What::List => signing::list(config)?,
    };
    let mut older = false;
    print(keys.into_iter().map(|Shown { kid, key }| {
        let (state, does) = match (key.signs, older) {
            (false, _) => ("waits", format!("signs from {:.0}", key.signs_from)),
            (true, false) => ("signs", "signs".to_owned()),
            (true, true) => ("taken", "is taken".to_owned()),
        };
        older |= key.signs;
        if json {
            return json!({"kid": kid, "state": state, "signs_from": key.signs_from, "ends_at": key.ends_at})
                .to_string();
        }
        let end = key.ends_at.map(|end| format!(", ends {end:.0}")).unwrap_or_default();
        format!("{kid} {does}{end}")
    }));
    Ok(())
}
