//! Following a stream through lost connections and restarts, from the last event seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::events::Parser;
use super::{Event, Failure, Remote};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How it goes with a stream.
#[derive(Debug)]
pub enum News {
    Connected,
    Event(Event),
    /// The connection is gone; it will be tried again.
    Lost(String),
    /// It will not be tried again.
    Refused(Failure),
}

/// Tells every event after `last` once and in order, until nobody listens any more, or until `stay` is false when a
/// stream ends.
pub async fn follow(
    remote: Arc<Remote>,
    path: String,
    mut last: i64,
    tell: mpsc::Sender<News>,
    stay: watch::Receiver<bool>,
) {
    let mut pause = FIRST_PAUSE;
    while *stay.borrow() && !tell.is_closed() {
        let begun = Instant::now();
        let lost = match read(&remote, &path, &mut last, &tell).await {
            Ok(()) if begun.elapsed() > LONGEST_PAUSE => None,
            // One that ends as soon as it begins is about to stop, or does not want us.
            Ok(()) => Some("the server ended the stream".to_owned()),
            Err(Failure::Away(reason)) => Some(reason),
            Err(Failure::Refused { status: 401, .. }) if pause == FIRST_PAUSE => {
                match remote.sign_in_again().await {
                    Err(refused @ Failure::Refused { .. }) => {
                        return drop(tell.send(News::Refused(refused)).await);
                    }
                    _ => Some("the sign-in has ended".to_owned()),
                }
            }
            Err(Failure::Refused { status: 429, detail, .. }) => Some(detail),
            Err(refused) => return drop(tell.send(News::Refused(refused)).await),
        };
        let Some(reason) = lost.filter(|_| *stay.borrow()) else {
            pause = FIRST_PAUSE;
            continue;
        };
        if tell.send(News::Lost(reason)).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = if begun.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
    }
}

/// One connection, to its end.
async fn read(remote: &Remote, path: &str, last: &mut i64, tell: &mpsc::Sender<News>) -> Result<(), Failure> {
    let mut answer = remote.stream(path, *last).await?;
    let mut parser = Parser::default();
    if tell.send(News::Connected).await.is_err() {
        return Ok(());
    }
    while let Some(piece) = answer.chunk().await.map_err(super::away)? {
        for event in parser.take(&piece) {
            // Without a number it is about the stream, not of it.
            let seen = event.id.is_some_and(|id| id <= *last);
            *last = event.id.unwrap_or(*last).max(*last);
            if !seen && tell.send(News::Event(event)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
