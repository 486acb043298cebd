use flow_domain::flows::schedule::{Due, Schedules};
use flow_manager::driven::memory::MemorySchedules;
use flow_manager::driven::postgres::PgSchedules;
use jiff::Timestamp;

use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemorySchedules::default()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    suite(&PgSchedules::new(db.pool.clone())).await;
}

async fn suite(schedules: &dyn Schedules) {
    a_flow_is_due_when_its_time_has_come(schedules).await;
    a_known_line_keeps_its_time_and_another_replaces_it(schedules).await;
    of_many_who_serve_a_time_one_moves_it_on(schedules).await;
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn due(flow: &str, second: i64) -> Due {
    Due { flow: flow.to_owned(), at: at(second) }
}

async fn a_flow_is_due_when_its_time_has_come(schedules: &dyn Schedules) {
    schedules.keep("late", "0 1 * * *", at(200)).await.unwrap();
    schedules.keep("early", "0 0 * * *", at(100)).await.unwrap();
    assert_eq!(schedules.due(at(99)).await.unwrap(), []);
    assert_eq!(schedules.due(at(100)).await.unwrap(), [due("early", 100)]);
    assert_eq!(schedules.due(at(1000)).await.unwrap(), [due("early", 100), due("late", 200)]);
    assert!(schedules.move_on(&due("early", 100), at(5000)).await.unwrap());
    assert_eq!(schedules.due(at(1000)).await.unwrap(), [due("late", 200)]);
    assert!(!schedules.move_on(&due("nobody", 100), at(5000)).await.unwrap());
    assert!(schedules.move_on(&due("late", 200), at(9000)).await.unwrap());
}

async fn a_known_line_keeps_its_time_and_another_replaces_it(schedules: &dyn Schedules) {
    schedules.keep("flow", "5 * * * *", at(300)).await.unwrap();
    schedules.keep("flow", "5 * * * *", at(3900)).await.unwrap();
    assert_eq!(schedules.due(at(400)).await.unwrap(), [due("flow", 300)], "a missed time is not forgotten");
    schedules.keep("flow", "7 * * * *", at(420)).await.unwrap();
    assert_eq!(schedules.due(at(430)).await.unwrap(), [due("flow", 420)]);
    assert!(schedules.move_on(&due("flow", 420), at(9000)).await.unwrap());
}

async fn of_many_who_serve_a_time_one_moves_it_on(schedules: &dyn Schedules) {
    schedules.keep("shared", "* * * * *", at(60)).await.unwrap();
    let time = due("shared", 60);
    let all = futures_util::future::join_all((0..8).map(|_| schedules.move_on(&time, at(120)))).await;
    assert_eq!(all.into_iter().filter(|moved| *moved.as_ref().unwrap()).count(), 1);
}
