//! A watch over the private PostgreSQL: one that dies under a running service is started again.

use std::time::{Duration, Instant};

use crate::driven::postgres::embedded::Keeper;

/// How often it is looked at; a look reads two small files.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a start, before the next one; it doubles while the server does not stay up.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that has been up for this long stays up.
const STEADY_AFTER: Duration = Duration::from_secs(60);

/// Until the service stops its server.
pub(super) async fn keep_up(keeper: Keeper) {
    let mut pause = FIRST_PAUSE;
    let mut started = Instant::now();
    while !keeper.is_stopped() {
        tokio::time::sleep(LOOK_EVERY).await;
        if !keeper.is_gone() {
            continue;
        }
        log::error!("the private database has gone; starting it again");
        if started.elapsed() >= STEADY_AFTER {
            pause = FIRST_PAUSE;
        }
        let starting = keeper.clone();
        match tokio::task::spawn_blocking(move || starting.revive()).await {
            Ok(Ok(_)) => log::warn!("the private database is back"),
            Ok(Err(error)) => log::error!("{error} The next attempt is in {} s.", pause.as_secs_f64()),
            // The runtime goes down.
            Err(_) => return,
        }
        started = Instant::now();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
