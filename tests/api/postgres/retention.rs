//! Old runs go by the week, and their space with them.

use crate::harness::TestDb;

/// Weeks long past, each with runs of two steps; the run with the number `live` of each is not over.
const WEEK: &str = "
    do $$ declare parent text; begin
        foreach parent in array array['flow_run', 'step', 'event'] loop
            execute format('create table %I partition of %I for values from (%L) to (%L)', parent || '_{week}', parent,
                uuid_v7_floor('{day}'), uuid_v7_floor('{day}'::timestamptz + interval '7 days'));
        end loop;
    end $$;
    create temporary table made as
        select overlay(uuid_v7_floor('{day}')::text placing lpad(to_hex(n), 12, '0') from 25)::uuid as id, n
        from generate_series(1, {runs}) n;
    insert into flow_run (id, epoch, version, event_seq, takeovers, percent, status, finished_at, created_at, flow,
                          flow_version, caller_id, caller_role, input)
        select id, 1, 3, 6, 0, 100, case when n = {live} then 'waiting' else 'succeeded' end,
               case when n <> {live} then '{day}'::timestamptz end, '{day}', 'old', 'hash', id, 'learner', '{}'
        from made;
    insert into step (run_id, seq, position, attempt, status, undo_status, undoable, undo_attempt, started_event,
                      started_at, name, task, input)
        select id, seq, seq, 1, 'succeeded', 'none', false, 0, seq, '{day}', 'a', 'noop', '{}'
        from made, generate_series(1, 2) seq;
    drop table made";

async fn fill(db: &TestDb, day: &str, runs: i32, live: i32) {
    let sql = WEEK
        .replace("{day}", &format!("{day} 00:00+00"))
        .replace("{week}", &day.replace('-', ""))
        .replace("{runs}", &runs.to_string())
        .replace("{live}", &live.to_string());
    db.pool.client().await.unwrap().batch_execute(&sql).await.unwrap();
}

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(db: &TestDb, sql: &'static str) -> T {
    db.pool.query(sql, &[]).await.unwrap()[0].get(0)
}

#[tokio::test]
async fn old_weeks_are_dropped_with_their_space_and_one_with_a_live_run_stays() {
    let db = TestDb::new().await;
    for day in ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"] {
        let live = if day == "2024-01-15" { 7 } else { 0 };
        fill(&db, day, 20_000, live).await;
    }
    let size = "select pg_database_size(current_database())";
    let (empty, full): (i64, i64) = (one(&TestDb::new().await, size).await, one(&db, size).await);

    let store = db.flow_store();
    assert_eq!(store.drop_weeks(36_500).await.unwrap(), [""; 0], "nothing is a hundred years old");
    assert_eq!(store.drop_weeks(30).await.unwrap(), ["20240101", "20240108", "20240122"]);
    assert_eq!(store.drop_weeks(30).await.unwrap(), [""; 0]);
    assert_eq!(one::<i64>(&db, "select count(*) from flow_run").await, 20_000);
    assert_eq!(one::<i64>(&db, "select count(*) from step").await, 40_000);
    let left: i64 = one(&db, size).await;
    println!(
        "{} kB of runs, {} kB after three of four weeks went",
        (full - empty) >> 10,
        (left - empty) >> 10
    );
    assert!((left - empty) * 3 < full - empty, "a quarter is left: {empty} {full} {left}");

    // Its last run ends, and its time has come too.
    let end = "update flow_run set status = 'succeeded', finished_at = '2024-02-01'";
    db.pool.execute(end, &[]).await.unwrap();
    assert_eq!(store.drop_weeks(30).await.unwrap(), ["20240115"]);
}
