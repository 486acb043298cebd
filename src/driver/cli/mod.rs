//! The command line.

mod banner;
mod check;
mod health;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use banner::banner;

use crate::config::Config;
use crate::{app, logging};

/// Asked for something that cannot be done as asked: a wrong argument or setting.
const MISUSED: u8 = 2;

/// Runs flows: chains of tasks, one after another, durably, started and watched over plain HTTP.
#[derive(Debug, Parser)]
#[command(name = "flow-manager", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Arguments {
    /// A TOML file with settings that differ from the defaults
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Try it:
  FLOW_DEMO=true flow-manager serve    A demo user, a demo lab and a private PostgreSQL; prints what to type next
  flow-manager check                   Shows every setting, where it comes from, and whether each part works

Settings come from --config FILE and from FLOW_<SECTION>_<KEY> in the environment, which wins:
  FLOW_SERVER_PORT=9000                Listen on another port
  FLOW_STATE_DIR=/srv/flow-manager     Keep the database, keys and learners' directories there
  FLOW_DATABASE_URL=postgres://…       Use this PostgreSQL in place of the private one
  FLOW_DATABASE_URL_FILE=/run/secret   The same from a file; every secret can be given that way

Exit status: 0 done, 1 failed, 2 wrong arguments or settings.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP interface and run flows, until Ctrl-C or SIGTERM
    Serve,
    /// Bring the database to this version's schema, then end; `serve` does so by itself
    Migrate,
    /// Show the settings in force, secrets masked, and test each part; nothing is changed
    Check,
    /// Ask the service that runs here whether it is ready; exit status 0 says yes. For container health checks
    Health,
    /// Run one program in a session of its own and keep a record of it; the service starts itself this way
    #[command(hide = true)]
    Child { dir: PathBuf },
}

impl Arguments {
    /// This process's own; a wrong one ends it with an explanation.
    pub fn read() -> Self {
        Self::parse()
    }
}

/// Does what was asked for.
pub fn run(arguments: Arguments) -> ExitCode {
    // Before any setting is read: its environment is the program's, not the service's.
    if let Command::Child { dir } = &arguments.command {
        return app::child(dir);
    }
    let config = match Config::load(arguments.config.as_deref(), std::env::vars_os()) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults {
                complain(&fault);
            }
            complain(&"nothing was started");
            return ExitCode::from(MISUSED);
        }
    };
    logging::start(&config.log);
    let done = match arguments.command {
        Command::Serve => app::serve(config),
        Command::Migrate => app::migrate(config),
        Command::Check => return check::run(&config),
        Command::Health => return health::run(&config),
        Command::Child { .. } => unreachable!("it was run above, without settings"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// A sentence on standard error, and no more than a sentence.
fn complain(sentence: &dyn fmt::Display) {
    eprintln!("flow-manager: {sentence}");
}
