//! The command line.

mod backup;
mod banner;
mod chat;
mod check;
mod client;
mod health;
mod key;
mod lab;
mod migrate;
mod queue;
mod remote;
mod task;
mod terminal;
mod user;
mod watch;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use banner::banner;

use crate::config::Config;
use crate::{app, logging};

/// Asked for something that cannot be done as asked: a wrong argument or setting.
const MISUSED: u8 = 2;
/// No service answers where one was called.
const AWAY: u8 = 3;

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

Commands that call a service (run runs why cancel plan watch chat) sign in by --email or --name, or as FLOW_EMAIL and
FLOW_PASSWORD say, at --server or FLOW_URL:
  FLOW_EMAIL=ada@example.org FLOW_PASSWORD=… flow-manager run hello --input '{}' --watch

Every command that prints something takes --json: one object, or one a line where there may be many.
Exit status, of every command: 0 done, 1 failed or refused, 2 wrong arguments or settings, 3 no service answers.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP interface and run flows, until Ctrl-C or SIGTERM
    Serve,
    /// Run flows without serving: a process beside `serve`, on this machine or another, with the same database. It
    /// listens on nothing, unless metrics.address says where it may be watched
    Work,
    /// Bring the database to this version's schema, then end; `serve` does so by itself
    Migrate(migrate::Migrate),
    /// Show the settings in force, secrets masked, and test each part; nothing is changed. Exit status 1: one failed
    Check(check::Check),
    /// Ask the service that runs here whether it is ready; exit status 0 says yes. For container health checks
    Health(health::Health),
    /// Talk in a room of a service, from a terminal or a script
    Chat(chat::Chat),
    /// Show what a run does until it is over; exit status 0 says that it succeeded
    Watch(watch::Watch),
    /// Start a flow at a service and stay until it is over
    Run(client::RunFlow),
    /// List runs of a service, the newest first
    Runs(client::Runs),
    /// Ask why a run is where it is, and what can be done
    Why(client::Why),
    /// Cancel a run: what it did is taken back
    Cancel(client::CancelRun),
    /// Ask what a flow would do, without starting it; exit status 1 names its faults
    Plan(client::PlanFlow),
    /// Write all that a service keeps to one file, beside a running service or without one
    Backup(backup::Backup),
    /// Bring back what `backup` wrote, into an empty place
    Restore(backup::Restore),
    /// Look at labs: which there are, and what is wrong with one
    Lab(lab::LabCommand),
    /// Make, list and change accounts, beside a running service or without one
    User(user::UserCommand),
    /// Change the key that signs tokens, beside a running service or without one
    Key(key::KeyCommand),
    /// Look after the events that could not be dealt with
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Begin a task of your own, in the source of this program
    #[command(subcommand)]
    Task(task::TaskCommand),
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
    match &arguments.command {
        Command::Child { dir } => return app::child(dir),
        // They call a service that may be anywhere, whose settings are its own.
        Command::Chat(chat) => return chat::run(chat),
        Command::Watch(watch) => return watch::run(watch),
        Command::Run(asked) => return client::run(asked),
        Command::Runs(asked) => return client::runs(asked),
        Command::Why(asked) => return client::why(asked),
        Command::Cancel(asked) => return client::cancel(asked),
        Command::Plan(asked) => return client::plan(asked),
        // Nothing that runs is meant.
        Command::Task(command) => return task::run(command),
        _ => {}
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
        Command::Work => app::work(config),
        Command::Migrate(asked) => migrate::run(config, &asked),
        Command::Queue(command) => queue::run(&config, command),
        Command::User(command) => user::run(&config, command),
        Command::Key(command) => key::run(&config, command),
        Command::Check(asked) => return check::run(&config, &asked),
        Command::Health(asked) => return health::run(&config, &asked),
        Command::Lab(command) => return lab::run(&config, command),
        Command::Backup(asked) => backup::backup(&config, &asked),
        Command::Restore(asked) => backup::restore(&config, &asked),
        _ => unreachable!("the others were run above, without settings"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Runs a client, which has little to do.
fn in_a_small_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime cannot be started ({error})"))?;
    runtime.block_on(work)
}

/// Lines on standard output. A reader that has seen enough, such as `head`, is no failure.
fn print(lines: impl IntoIterator<Item = String>) {
    let mut out = io::stdout().lock();
    let _ = lines.into_iter().try_for_each(|line| writeln!(out, "{line}"));
}

/// A sentence on standard error, and no more than a sentence.
fn complain(sentence: &dyn fmt::Display) {
    eprintln!("flow-manager: {sentence}");
}
