//! The database goes away under load and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::database::Database;
use super::service::Service;
use super::{Toll, all_ended, nothing_is_lost_or_doubled, post_many, work};

/// Two services under load, while `trouble` happens to their database; what was taken, refused and counted.
async fn under_load(trouble: impl AsyncFnOnce(&Database)) -> (usize, usize, Toll, Duration) {
    let database = Database::start();
    let services = Arc::new([Service::start(&database.url()).await, Service::start(&database.url()).await]);
    let over = Arc::new(AtomicBool::new(false));
    let (posting, enough) = (services.clone(), over.clone());
    let load = tokio::spawn(async move {
        let (mut taken, mut refused) = (Vec::new(), 0);
        while !enough.load(Ordering::SeqCst) {
            let (more, not) = post_many(&[&posting[0], &posting[1]], &work(0.7), 32).await;
            taken.extend(more);
            refused += not;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (taken, refused)
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    trouble(&database).await;
    let back = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    over.store(true, Ordering::SeqCst);
    let (taken, refused) = load.await.unwrap();
    let toll = all_ended(&database.config(), Duration::from_secs(60)).await;
    let took = back.elapsed();
    nothing_is_lost_or_doubled(&database.config(), &taken).await;
    assert_eq!(toll.succeeded, toll.runs, "no run fails because the database was away");
    // A refused request may have been stored all the same, but then it was driven to its end.
    assert!(toll.runs as usize >= taken.len());
    drop(services);
    (taken.len(), refused, toll, took)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn the_database_is_stopped_for_20_s() {
    let (taken, refused, toll, took) = under_load(async |database| {
        database.down("fast");
        tokio::time::sleep(Duration::from_secs(20)).await;
        database.up();
    })
    .await;
    println!(
        "stopped the database for 20 s under load: {taken} requests taken, {refused} refused by 503, {} runs, all \
         over {took:?} after it was back; lost: nothing",
        toll.runs
    );
    assert!(taken > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn the_database_crashes_three_times() {
    let (taken, refused, toll, took) = under_load(async |database| {
        for _ in 0..3 {
            database.down("immediate");
            database.up();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    println!(
        "crashed the database three times under load: {taken} requests taken, {refused} refused by 503, {} runs, all \
         over {took:?} after it was back; lost: nothing",
        toll.runs
    );
    assert!(taken > 0);
}
