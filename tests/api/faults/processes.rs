//! Services that are killed or stopped while another works over the same database.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use uuid::Uuid;

use super::service::Service;
use super::{all_ended, connect, nothing_is_lost_or_doubled, post_many, work};
use crate::harness::TestDb;

const RUNS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn one_of_two_services_is_killed_in_the_middle_of_500_runs() {
    let db = TestDb::new().await;
    let mut doomed = Service::start(&db.url()).await;
    let heir = Service::start(&db.url()).await;
    let (taken, refused) = post_many(&[&doomed, &heir], &work(1.5), RUNS).await;
    assert_eq!(refused, 0);
    let client = connect(&db.config).await;
    let going = "select count(*), count(distinct owner) from flow_run where finished_at is null";
    let before = client.query_one(going, &[]).await.unwrap();
    doomed.kill();
    let killed = Instant::now();
    let dead = "select w.id from worker w where exists (select from flow_run r where r.owner = w.id)
                order by w.started_at limit 1";
    let dead: Uuid = client.query_one(dead, &[]).await.unwrap().get(0);
    let mut heard = Vec::new();
    let held = "select count(*) from flow_run where owner = $1 and finished_at is null";
    loop {
        let left: i64 = client.query_one(held, &[&dead]).await.unwrap().get(0);
        heard.push((killed.elapsed(), left));
        if left == 0 || killed.elapsed() > Duration::from_secs(20) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = killed.elapsed();
    let toll = all_ended(&db.config, Duration::from_secs(60)).await;
    nothing_is_lost_or_doubled(&db.config, &taken).await;
    println!(
        "killed one of two with {} runs going ({} owners): the other had the {} it held after {took:?}; {} of {} runs \
         succeeded; lost: nothing",
        before.get::<_, i64>(0),
        before.get::<_, i64>(1),
        heard[0].1,
        toll.succeeded,
        toll.runs
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!((toll.runs, toll.succeeded), (RUNS as i64, RUNS as i64));
    drop(heir);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn a_service_that_was_stopped_for_20_s_writes_nothing_after_it_was_fenced() {
    let db = TestDb::new().await;
    let asleep = Service::start(&db.url()).await;
    let (taken, _) = post_many(&[&asleep], &work(1.0), 100).await;
    let heir = Service::start(&db.url()).await;
    let client = connect(&db.config).await;
    asleep.signal(Signal::STOP);
    let stopped = Instant::now();
    let toll = all_ended(&db.config, Duration::from_secs(18)).await;
    let took = stopped.elapsed();
    assert_eq!((toll.runs, toll.succeeded), (100, 100));
    // Everything is over while it sleeps; whatever it writes when it wakes would show.
    let all = "select md5(string_agg(t, '|' order by t)) from (
               select r::text as t from flow_run r union all select s::text from step s
               union all select e::text from event e union all select p::text from dataset_part p
               union all select d::text from dataset_row d) everything";
    let before: String = client.query_one(all, &[]).await.unwrap().get(0);
    tokio::time::sleep_until((stopped + Duration::from_secs(20)).into()).await;
    asleep.signal(Signal::CONT);
    // It is awake once it drives new runs to their end; by then it has long written what it had to write.
    let woken = Instant::now();
    while asleep.begin(&work(0.0)).await.is_none() {
        assert!(woken.elapsed() < Duration::from_secs(20), "it does not come back");
    }
    all_ended(&db.config, Duration::from_secs(20)).await;
    let ids: Vec<Uuid> = taken.iter().map(|id| id.parse().unwrap()).collect();
    for newer in [
        "delete from dataset_row where part_id in (select id from dataset_part where run_id <> all($1))",
        "delete from dataset_part where run_id <> all($1)",
        "delete from event where run_id <> all($1)",
        "delete from step where run_id <> all($1)",
        "delete from flow_run where id <> all($1)",
    ] {
        client.execute(newer, &[&ids]).await.unwrap();
    }
    let after: String = client.query_one(all, &[]).await.unwrap().get(0);
    assert_eq!(before, after, "it wrote to runs that were another's");
    nothing_is_lost_or_doubled(&db.config, &taken).await;
    println!("stopped one of two for 20 s with 100 runs: the other ended them in {took:?}; lost: nothing");
    drop(heir);
}
