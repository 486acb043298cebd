use std::time::Duration;

use flow_domain::labs::{LabTimes, LabVersion, ObjectTime, Pace, Work};
use flow_manager::driven::memory::MemoryLabTimes;
use flow_manager::driven::postgres::PgLabTimes;

use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryLabTimes::default()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    suite(&PgLabTimes::new(db.pool.clone())).await;
}

async fn suite(times: &dyn LabTimes) {
    nothing_is_known_of_a_version_that_was_never_run(times).await;
    medians_are_of_addresses_and_of_types(times).await;
    half_and_nearly_all_are_of_whole_runs(times).await;
    versions_and_kinds_of_work_are_apart(times).await;
    a_run_without_objects_counts(times).await;
}

fn version(lab: &str) -> LabVersion {
    LabVersion { lab: lab.into(), version: "1".into() }
}

fn object(address: &str, kind: &str, action: &str, ms: u64) -> ObjectTime {
    let took = Duration::from_millis(ms);
    ObjectTime { address: address.into(), kind: kind.into(), action: action.into(), took }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn nothing_is_known_of_a_version_that_was_never_run(times: &dyn LabTimes) {
    assert_eq!(times.pace(&version("never"), Work::Apply).await.unwrap(), Pace::default());
}

async fn medians_are_of_addresses_and_of_types(times: &dyn LabTimes) {
    let of = version("medians");
    for took in [30, 10, 20] {
        let objects = [
            object("vm.a", "vm", "create", took),
            object("vm.b", "vm", "create", took * 10),
            object("net.a", "net", "delete", took),
        ];
        times.add(&of, Work::Apply, ms(1), &objects).await.unwrap();
    }
    let pace = times.pace(&of, Work::Apply).await.unwrap();
    assert_eq!(pace.runs, 3);
    assert_eq!(pace.of("create", "vm.a", "vm"), Some(ms(20)));
    assert_eq!(pace.of("create", "vm.b", "vm"), Some(ms(200)));
    assert_eq!(pace.of("create", "vm.new", "vm"), Some(ms(30)), "of 10 20 30 100 200 300");
    assert_eq!(pace.of("delete", "net.new", "net"), Some(ms(20)));
    assert_eq!(pace.of("create", "net.a", "net"), None);
}

async fn half_and_nearly_all_are_of_whole_runs(times: &dyn LabTimes) {
    let of = version("shares");
    for took in (1..=20).rev() {
        times.add(&of, Work::Destroy, ms(took * 100), &[]).await.unwrap();
    }
    let pace = times.pace(&of, Work::Destroy).await.unwrap();
    assert_eq!((pace.runs, pace.half, pace.nearly_all), (20, ms(1000), ms(1900)));
}

async fn versions_and_kinds_of_work_are_apart(times: &dyn LabTimes) {
    let of = version("apart");
    times.add(&of, Work::Apply, ms(5), &[object("a", "k", "create", 5)]).await.unwrap();
    assert_eq!(times.pace(&of, Work::Destroy).await.unwrap(), Pace::default());
    let other = LabVersion { version: "2".into(), ..of };
    assert_eq!(times.pace(&other, Work::Apply).await.unwrap(), Pace::default());
}

async fn a_run_without_objects_counts(times: &dyn LabTimes) {
    let of = version("empty");
    times.add(&of, Work::Apply, ms(7), &[]).await.unwrap();
    let pace = times.pace(&of, Work::Apply).await.unwrap();
    assert_eq!((pace.runs, pace.half, pace.objects.len()), (1, ms(7), 0));
}

#[tokio::test]
async fn postgres_forgets_all_but_the_newest_fifty() {
    let db = TestDb::new().await;
    let times = PgLabTimes::new(db.pool.clone());
    let of = version("many");
    for run in 0..60 {
        times.add(&of, Work::Apply, ms(run), &[object("a", "k", "create", run)]).await.unwrap();
    }
    let pace = times.pace(&of, Work::Apply).await.unwrap();
    assert_eq!((pace.runs, pace.half), (50, ms(34)), "of 10 to 59");
}
