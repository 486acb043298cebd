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

/// Every tenth run of the week brought a definition of its own.
const DEFINITIONS: &str = "
    update flow_run_{week} set flow_version = id::text where get_byte(uuid_send(id), 15) % 10 = 0;
    insert into flow_version (hash, definition, tasks, known_at)
        select flow_version, json_build_object('name', 'old', 'tasks', '[]'::json), '{noop}', now() - interval '9 days'
        from flow_run_{week} where flow_version <> 'hash'";

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

/// Rows are made by SQL: a million runs of a service would take a quarter of an hour, and be the same rows.
#[tokio::test]
#[ignore = "makes a million runs"]
async fn the_database_of_a_million_runs_is_half_as_big_when_half_of_them_went() {
    let db = TestDb::new().await;
    let client = db.pool.client().await.unwrap();
    client.batch_execute("set statement_timeout = 0").await.unwrap();
    let mut days: Vec<String> =
        ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29"].map(str::to_owned).to_vec();
    let recent =
        "select to_char(date_trunc('week', now() at time zone 'utc') - n * interval '7 days', 'YYYY-MM-DD')
                  from generate_series(2, 6) n";
    days.extend(client.query(recent, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    let size = "select pg_database_size(current_database())";
    let empty: i64 = one(&db, size).await;
    for day in &days {
        let sql = [WEEK, DEFINITIONS].join(";").replace("{day}", &format!("{day} 00:00+00"));
        let sql =
            sql.replace("{week}", &day.replace('-', "")).replace("{runs}", "100000").replace("{live}", "0");
        client.batch_execute(&sql).await.unwrap();
    }
    let count = "select (select count(*) from flow_run), (select count(*) from step), (select count(*) from flow_version)";
    let counted = async || {
        let row = client.query_one(count, &[]).await.unwrap();
        [row.get::<_, i64>(0), row.get(1), row.get(2)]
    };
    let (before, full): ([i64; 3], i64) = (counted().await, one(&db, size).await);
    assert_eq!(before[..2], [1_000_000, 2_000_000]);

    assert_eq!(db.flow_store().drop_weeks(90).await.unwrap().len(), 5);
    // What was deleted of definitions is room for others; to give it back takes a vacuum, which comes by itself.
    client.batch_execute("vacuum full flow_version").await.unwrap();
    let (after, left): ([i64; 3], i64) = (counted().await, one(&db, size).await);
    println!(
        "runs, steps, definitions: {before:?}, then {after:?}; {} MB, then {} MB",
        full >> 20,
        left >> 20
    );
    assert_eq!(after[..2], [500_000, 1_000_000]);
    assert!((after[2] * 2 - before[2]).abs() < before[2] / 50, "definitions: {before:?} {after:?}");
    assert!(((left - empty) * 2 - (full - empty)).abs() < (full - empty) / 20, "{empty} {full} {left}");
    client.batch_execute("reset statement_timeout").await.unwrap();
}

#[tokio::test]
async fn a_definition_goes_with_its_last_run_unless_it_was_spoken_of_lately() {
    let db = TestDb::new().await;
    fill(&db, "2024-01-01", 3, 0).await;
    let add = "insert into flow_version (hash, definition, tasks, known_at) values
               ('hash', '{}', '{noop}', now() - interval '9 days'), ('lately', '{}', '{noop}', now())";
    db.pool.execute(add, &[]).await.unwrap();
    let left = async || {
        let rows = db.pool.query("select hash from flow_version order by hash", &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>()
    };
    db.pool.query("select flow_forget_versions()", &[]).await.unwrap();
    assert_eq!(left().await, ["hash", "lately"], "a run has it");
    assert_eq!(db.flow_store().drop_weeks(30).await.unwrap(), ["20240101"]);
    assert_eq!(left().await, ["lately"]);
}
