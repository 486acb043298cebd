//! `flow-manager chat`: talks in a room from a terminal, or from a script.

mod edit;
mod page;
mod plain;
mod session;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::sync::mpsc;

use super::client::{Trouble, client, signed_in};
use super::remote::{Remote, SignIn};
use session::{Session, Shown, Typed};

const AFTER_HELP: &str = "\
Type a line to say it. Commands: /join ROOM, /leave, /who, /quit, /help; a line that begins with // says it with one /.
Without --name and --email one is anonymous. A password is asked for, or taken from FLOW_PASSWORD.

  flow-manager chat lobby --name ann
  echo 'The build is done.' | flow-manager chat lobby --plain --name builder";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Chat {
    /// The room to join: letters, digits, `-`, `_` and `.`
    room: String,
    #[command(flatten)]
    sign_in: SignIn,
    /// Lines in, lines out, for pipes and scripts; ends with its input
    #[arg(long)]
    plain: bool,
    /// The same, each message as one JSON object a line
    #[arg(long)]
    json: bool,
}

/// The two ends of what goes between a session and what shows it.
struct Ends {
    shown: mpsc::UnboundedReceiver<Shown>,
    typed: mpsc::UnboundedSender<Typed>,
}

pub fn run(chat: &Chat) -> ExitCode {
    client(async {
        let remote = Arc::new(signed_in(&chat.sign_in).await?);
        talk(chat, remote).await.map(|()| ExitCode::SUCCESS).map_err(Trouble::Otherwise)
    })
}

async fn talk(chat: &Chat, remote: Arc<Remote>) -> Result<(), String> {
    let (show, shown) = mpsc::unbounded_channel();
    let (typed, lines) = mpsc::unbounded_channel();
    let ends = Ends { shown, typed };
    let plain =
        chat.plain || chat.json || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal();
    let session = tokio::spawn(Session::new(remote.clone(), show).run(chat.room.clone(), lines));
    let shown = if plain { plain::show(ends, chat.json).await } else { page::show(ends, &remote).await };
    shown.map_err(|error| format!("the terminal failed ({error})"))?;
    session.await.map_err(|error| error.to_string())?
}
