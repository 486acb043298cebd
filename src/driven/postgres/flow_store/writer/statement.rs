//! The writer's statements. A batch takes the least that does for it: what a statement is made of is set up anew each
//! time it runs, and for a batch of few rows that is most of its cost.

/// What a batch holds, and so which statement it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One new run.
    OneRun,
    /// One run's checkpoint with one new step.
    OneStep,
    /// Checkpoints with new steps alone.
    Steps,
    /// Those, and new runs.
    RunsAndSteps,
    /// Also events, and steps that were stored before.
    Any,
}

impl Shape {
    pub(super) const ALL: [Self; 5] =
        [Self::OneRun, Self::OneStep, Self::Steps, Self::RunsAndSteps, Self::Any];

    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::OneRun => ONE_RUN,
            Self::OneStep => ONE_STEP,
            Self::Steps => STEPS,
            Self::RunsAndSteps => RUNS_AND_STEPS,
            Self::Any => ANY,
        }
    }
}

macro_rules! run_columns {
    () => {
        "id, owner, epoch, event_seq, cursor, flow, flow_version, caller_id, caller_role, parent_id, created_at, input, trace"
    };
}

macro_rules! step_columns {
    () => {
        "run_id, seq, position, attempt, status, undo_status, undoable, undo_attempt, started_event, finished_event,
         started_at, finished_at, waited_until, name, task, input, output, error, undo_error, secrets"
    };
}

/// New runs are inserted.
macro_rules! created {
    () => {
        concat!(
            "insert into flow_run (", run_columns!(), ", version, takeovers, percent, status, started_at)
             select n.id, n.owner, n.epoch, n.event_seq, n.cursor, n.flow, n.flow_version, n.caller_id, n.caller_role,
                    n.parent_id, n.created_at, n.input::json, n.trace, 1, 0, 0, 'running', n.created_at
             from unnest($39::uuid[], $40::uuid[], $41::bigint[], $42::bigint[], $43::int[], $44::text[],
                         $45::text[], $46::uuid[], $47::text[], $48::uuid[], $49::timestamptz[], $50::text[], $51::text[])
                 as n(", run_columns!(), ")"
        )
    };
}

/// Known runs are moved on where owner, epoch and version match. What comes back has been moved; what does not is
/// fenced.
macro_rules! moved {
    () => {
        "update flow_run r
         set owner = case when b.released then null else r.owner end, version = r.version + 1,
             event_seq = b.event_seq, takeovers = b.takeovers, cursor = b.cursor, percent = b.percent,
             status = b.status, cause = b.cause, error = b.error::json, finished_at = b.finished_at,
             wake_at = b.wake_at, host = b.host,
             -- A cancel that came while the run was being let go must not wait for the run's time.
             claimable_at = case when b.claimable_at is not null and r.cancel_requested and b.status <> 'undoing'
                                 then now() else b.claimable_at end
         from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bool[], $6::bigint[], $7::int[],
                     $8::int[], $9::smallint[], $10::text[], $11::text[], $12::text[], $13::timestamptz[],
                     $14::timestamptz[], $15::timestamptz[], $16::text[])
             as b(id, owner, epoch, version, released, event_seq, takeovers, cursor, percent, status, cause, error,
                  finished_at, wake_at, claimable_at, host)
         where r.id = b.id and r.owner = b.owner and r.epoch = b.epoch and r.version = b.version
           -- The join alone could be planned as a scan of all runs. The array makes it look-ups by key whatever the
           -- tables' sizes were when it was planned, and the bounds say which partitions are meant before any is
           -- opened.
           and r.id = any($1::uuid[]) and r.id between $37::uuid and $38::uuid
         returning r.id, r.cancel_requested, r.cancel_forced"
    };
}

/// Steps of the runs that moved.
macro_rules! stepped {
    () => {
        concat!(
            "insert into step (", step_columns!(), ")
             select s.run_id, s.seq, s.position, s.attempt, s.status, s.undo_status, s.undoable, s.undo_attempt,
                    s.started_event, s.finished_event, s.started_at, s.finished_at, s.waited_until, s.name, s.task,
                    s.input::json, s.output::json, s.error::json, s.undo_error::json, s.secrets::json
             from unnest($17::uuid[], $18::int[], $19::int[], $20::int[], $21::text[], $22::text[], $23::bool[],
                         $24::int[], $25::bigint[], $26::bigint[], $27::timestamptz[], $28::timestamptz[],
                         $29::timestamptz[], $30::text[], $31::text[], $32::text[], $33::text[], $34::text[],
                         $35::text[], $36::text[])
                 as s(", step_columns!(), ")
             where s.run_id in (select m.id from moved m)"
        )
    };
}

const STEPS: &str = concat!(
    "with moved as (",
    moved!(),
    "), stepped as (",
    stepped!(),
    ")
     select id, cancel_requested, cancel_forced from moved"
);

const RUNS_AND_STEPS: &str = concat!(
    "with created as (",
    created!(),
    "), moved as (",
    moved!(),
    "), stepped as (",
    stepped!(),
    ")
     select id, cancel_requested, cancel_forced from moved"
);

const ANY: &str = concat!(
    "with created as (", created!(), "), moved as (", moved!(), "), stepped as (", stepped!(), "
        on conflict (run_id, seq) do update
        set status = excluded.status, undo_status = excluded.undo_status, undoable = excluded.undoable,
            undo_attempt = excluded.undo_attempt, finished_event = excluded.finished_event,
            finished_at = excluded.finished_at, waited_until = excluded.waited_until, output = excluded.output,
            error = excluded.error, undo_error = excluded.undo_error
     ), told as (
        insert into event (run_id, number, kind, at, step, attempt, data)
        select e.run_id, e.number, e.kind, e.at, e.step, e.attempt, e.data::json
        from unnest($52::uuid[], $53::bigint[], $54::text[], $55::timestamptz[], $56::text[], $57::int[], $58::text[])
            as e(run_id, number, kind, at, step, attempt, data)
        where e.run_id in (select m.id from moved m)
     )
     select id, cancel_requested, cancel_forced from moved"
);

const ONE_RUN: &str = concat!(
    "insert into flow_run (", run_columns!(), ", version, takeovers, percent, status, started_at)
     values ($1::uuid, $2::uuid, $3::bigint, $4::bigint, $5::int, $6::text, $7::text, $8::uuid, $9::text, $10::uuid,
             $11::timestamptz, $12::text::json, $13::text, 1, 0, 0, 'running', $11::timestamptz)"
);

/// As [`STEPS`], with a value for each array. The step's run is the one that moved.
const ONE_STEP: &str = concat!(
    "with moved as (
        update flow_run r
        set owner = case when $5::bool then null else r.owner end, version = r.version + 1, event_seq = $6::bigint,
            takeovers = $7::int, cursor = $8::int, percent = $9::smallint, status = $10::text, cause = $11::text,
            error = $12::text::json, finished_at = $13::timestamptz, wake_at = $14::timestamptz, host = $16::text,
            claimable_at = case when $15::timestamptz is not null and r.cancel_requested and $10::text <> 'undoing'
                                then now() else $15::timestamptz end
        where r.id = $1::uuid and r.owner = $2::uuid and r.epoch = $3::bigint and r.version = $4::bigint
        returning r.id, r.cancel_requested, r.cancel_forced
     ), stepped as (
        insert into step (", step_columns!(), ")
        select $17::uuid, $18::int, $19::int, $20::int, $21::text, $22::text, $23::bool, $24::int, $25::bigint,
               $26::bigint, $27::timestamptz, $28::timestamptz, $29::timestamptz, $30::text, $31::text,
               $32::text::json, $33::text::json, $34::text::json, $35::text::json, $36::text::json
        from moved
     )
     select id, cancel_requested, cancel_forced from moved"
);
