//! A service killed at every durable write of a run, once before that write is committed and once after it is, when
//! nobody is left to hear so. Then it is started again, and the run must end as one that nobody disturbed.
//!
//! A trigger in the test's own database stops the write: in the product nothing knows of it.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::connect;
use super::service::Service;
use crate::harness::TestDb;

/// Longer than a busy machine takes for any of this.
const PATIENCE: Duration = Duration::from_secs(90);
/// Services at once; each mostly waits for a lease to run out.
const AT_ONCE: usize = 8;
const LOCK: i64 = 4711;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    /// The write is rolled back.
    BeforeCommit,
    /// The write is durable, and nobody heard.
    AfterCommit,
}

/// A pure, a repeatable, two once-only steps and three that can be taken back; the failing one is taken back.
fn flow(fails: bool, marks: &Path) -> Value {
    let mark = |name: &str| {
        let script = format!("echo x >> {}/{name}", marks.display());
        json!({"name": name, "task": "exec", "input": {"program": "sh", "args": ["-c", script]}})
    };
    let store = |name: &str| json!({"name": name, "task": "store_data", "input": {"dataset": name, "rows": [{"n": 1}]}});
    let last = match fails {
        true => json!({"name": "last", "task": "exec", "input": {"program": "sh", "args": ["-c", "exit 3"]}}),
        false => json!({"name": "last", "task": "noop", "input": {"value": "${tasks.pure.output.rows}"}}),
    };
    json!({"name": "boundaries", "tasks": [
        {"name": "pure", "task": "process_data", "input": {"rows": [{"n": 1}]}},
        store("kept"), mark("once"), {"name": "place", "task": "create_directory", "input": {"lab": "boundaries"}},
        {"name": "again", "task": "noop"}, store("more"), mark("twice"), last]})
}

/// What is left of a run, in an order and form to compare.
#[derive(Debug, PartialEq, Eq)]
struct End {
    status: String,
    steps: Vec<(String, String, String)>,
    undone: Vec<String>,
    rows: i64,
    directory: bool,
    marks: [usize; 2],
}

struct Case {
    db: TestDb,
    service: Service,
    client: Client,
    marks: tempfile::TempDir,
    run: Value,
}

impl Case {
    /// Stops the `version`th write of the run until the advisory lock is free; 0 stops none.
    async fn start(fails: bool, version: i64) -> Self {
        let db = TestDb::new().await;
        let client = connect(&db.config).await;
        let trap = format!(
            "create table fault_log (version bigint, status text, cursor int, steps bigint);
             create function fault_trap() returns trigger language plpgsql as $$
             begin
                 insert into fault_log values (new.version, new.status, new.cursor, new.event_seq);
                 if new.version = {version} then
                     perform pg_advisory_xact_lock({LOCK});
                 end if;
                 return null;
             end $$;
             create trigger fault_trap after insert or update on flow_run
                 for each row execute function fault_trap();
             select pg_advisory_lock({LOCK})"
        );
        client.batch_execute(&trap).await.unwrap();
        let service = Service::start_with(&db.url(), &[("FLOW_EXEC_ALLOW", "sh=/bin/sh")]).await;
        let marks = tempfile::tempdir().unwrap();
        let run = flow(fails, marks.path());
        Self { db, service, client, marks, run }
    }

    /// The backend that waits in the trap.
    async fn trapped(&self) -> i32 {
        let waiting = "select pid from pg_locks where locktype = 'advisory' and not granted
                       and database = (select oid from pg_database where datname = current_database())";
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(row) = self.client.query_opt(waiting, &[]).await.unwrap() {
                return row.get(0);
            }
            assert!(Instant::now() < deadline, "the write never came: {}", self.service.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn release(&self) {
        self.client.execute("select pg_advisory_unlock($1)", &[&LOCK]).await.unwrap();
    }

    /// Waits until the backend has gone the way of its client, its work rolled back or committed.
    async fn gone(&self, backend: i32) {
        let there = "select 1 from pg_stat_activity where pid = $1";
        let deadline = Instant::now() + PATIENCE;
        while self.client.query_opt(there, &[&backend]).await.unwrap().is_some() {
            assert!(Instant::now() < deadline, "the backend stays");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn ended(&self) {
        let deadline = Instant::now() + PATIENCE;
        let going = "select count(*) from flow_run where finished_at is null";
        while self.client.query_one(going, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            assert!(Instant::now() < deadline, "the run does not end: {}", self.service.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Rows of steps whose end is durable, without what an undo changes.
    async fn durable(&self) -> Vec<String> {
        let rows =
            "select concat_ws('|', name, attempt, status, started_at, finished_at, output, error) from step
                    where finished_at is not null order by seq";
        self.client.query(rows, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    async fn end(&self) -> End {
        let one = "select status, (select count(*) from dataset_row) from flow_run";
        let run = self.client.query_one(one, &[]).await.unwrap();
        let steps = "select name, status, undo_status from step order by seq";
        let undone = "select step from event where kind = 'undo.done' order by number";
        let marks = ["once", "twice"].map(|name| {
            std::fs::read_to_string(self.marks.path().join(name)).unwrap_or_default().lines().count()
        });
        let user =
            self.service.state_dir().join("workspaces/01970000-0000-7000-8000-000000003784/boundaries");
        End {
            status: run.get(0),
            rows: run.get(1),
            steps: self
                .client
                .query(steps, &[])
                .await
                .unwrap()
                .iter()
                .map(|row| (row.get(0), row.get(1), row.get(2)))
                .collect(),
            undone: self.client.query(undone, &[]).await.unwrap().iter().map(|row| row.get(0)).collect(),
            directory: user.exists(),
            marks,
        }
    }
}

/// A run that nobody disturbs: its end, and what each of its writes was.
async fn undisturbed(fails: bool) -> (End, Vec<(i64, String)>) {
    let case = Case::start(fails, 0).await;
    case.service.begin(&case.run).await.unwrap();
    case.ended().await;
    let log = "select version, concat_ws(' ', status, 'event', steps) from fault_log order by version";
    let writes = case.client.query(log, &[]).await.unwrap();
    let writes = writes.iter().map(|row| (row.get(0), row.get(1))).collect();
    (case.end().await, writes)
}

/// Kills at one write, starts again, and compares. Tells what the end was.
async fn killed_at(fails: bool, version: i64, kill: Kill, wanted: &End) -> String {
    let mut case = Case::start(fails, version).await;
    let (post, trapped) = tokio::join!(
        async {
            // The first write keeps the answer back: it is asked for, and its service dies.
            let patience = if version == 1 { Duration::from_millis(100) } else { PATIENCE };
            tokio::time::timeout(patience, case.service.begin(&case.run)).await.ok().flatten()
        },
        case.trapped()
    );
    case.service.kill();
    if kill == Kill::BeforeCommit {
        case.client.execute("select pg_terminate_backend($1)", &[&trapped]).await.unwrap();
        case.gone(trapped).await;
    }
    case.release().await;
    case.gone(trapped).await;
    let durable = case.durable().await;
    let runs: i64 = case.client.query_one("select count(*) from flow_run", &[]).await.unwrap().get(0);
    assert_eq!(runs, i64::from(version > 1 || kill == Kill::AfterCommit), "{version} {kill:?}");
    if runs == 0 {
        assert_eq!(post, None, "an answer promises that the run is stored");
        return "never accepted".to_owned();
    }
    case.service.restart().await;
    case.ended().await;
    let after = case.durable().await;
    for row in &durable {
        assert!(after.contains(row), "{version} {kill:?}: a durable step ran again: {row}\n{after:#?}");
    }
    let end = case.end().await;
    // A directory that was made and not heard of is nobody's on the second try: it stays, empty, rather than that a
    // learner's is taken away. See `create_directory`.
    let made_unheard = kill == Kill::BeforeCommit && !durable.iter().any(|row| row.starts_with("place|"));
    let left = end.directory && !wanted.directory;
    assert!(!left || made_unheard, "{version} {kill:?}");
    let end = End { directory: wanted.directory, ..end };
    assert_eq!(end, *wanted, "{version} {kill:?}: {:#?}", case.db.config.get_dbname());
    if left { format!("{}, an empty directory stays", end.status) } else { end.status }
}

async fn at_every_write(fails: bool, status: &str, undone: &[&str]) {
    let (wanted, writes) = undisturbed(fails).await;
    assert_eq!((wanted.status.as_str(), wanted.marks), (status, [1, 1]), "{wanted:#?}");
    assert_eq!(wanted.undone, undone);
    assert_eq!((wanted.rows, wanted.directory), if fails { (0, false) } else { (2, true) });
    assert!(writes.len() >= 8, "{writes:?}");
    let cases =
        writes.iter().flat_map(|write| [Kill::BeforeCommit, Kill::AfterCommit].map(|kill| (write, kill)));
    let cases: Vec<_> = cases.collect();
    let ends = stream::iter(&cases).map(|((version, _), kill)| killed_at(fails, *version, *kill, &wanted));
    let ends: Vec<String> = ends.buffered(AT_ONCE).collect().await;
    println!("| write | the run with it | killed | end | lost |\n| --- | --- | --- | --- | --- |");
    for (((version, what), kill), end) in cases.iter().zip(&ends) {
        println!("| {version} | {what} | {kill:?} | {end} | nothing |");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "long"]
async fn a_service_is_killed_at_every_write_of_a_run_that_succeeds() {
    at_every_write(false, "succeeded", &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "long"]
async fn a_service_is_killed_at_every_write_of_a_run_that_is_taken_back() {
    at_every_write(true, "undone", &["more", "place", "kept"]).await;
}
