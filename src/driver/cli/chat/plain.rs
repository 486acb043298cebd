//! Lines in, lines out: messages on standard output, all else on standard error.

use std::io::{self, BufRead, Write};

use super::Ends;
use super::page::printable;
use super::session::{Shown, Typed};

pub(super) async fn show(ends: Ends, as_json: bool) -> io::Result<()> {
    let Ends { mut shown, typed } = ends;
    let input = typed.clone();
    // A thread: a read of standard input cannot be given up. It ends with the process.
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if input.send(Typed::Line(line)).is_err() {
                return;
            }
        }
        let _ = input.send(Typed::End);
    });
    loop {
        let next = tokio::select! {
            next = shown.recv() => next,
            _ = tokio::signal::ctrl_c() => {
                let _ = typed.send(Typed::Line("/quit".to_owned()));
                continue;
            }
        };
        match next {
            Some(Shown::Message(message)) => {
                let line = match as_json {
                    true => serde_json::to_string(&message)?,
                    false => printable(&format!("{}: {}", message.from.name, message.text)),
                };
                let mut out = io::stdout().lock();
                match writeln!(out, "{line}").and_then(|()| out.flush()) {
                    // Whoever reads has seen enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        let _ = typed.send(Typed::Line("/quit".to_owned()));
                    }
                    other => other?,
                }
            }
            Some(Shown::Note(note)) => eprintln!("* {}", printable(&note)),
            Some(Shown::Status(_)) => {}
            Some(Shown::Over) | None => return Ok(()),
        }
    }
}
