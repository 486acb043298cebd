//! The one statement of the writer, and the arrays it takes: a column each.

use flow_domain::RunId;
use flow_domain::flows::event::Event;
use flow_domain::flows::run::Run;
use flow_domain::flows::step::Step;
use flow_domain::flows::store::{Checkpoint, Release};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Write;
use crate::driven::postgres::flow_store::rows::reason_json;

/// New runs are inserted. Known runs are moved on where owner, epoch and version match, and only for those that moved
/// are steps and events written. What comes back has been moved; what does not is fenced.
pub(super) const SQL: &str = "
with created as (
    insert into flow_run (id, owner, epoch, version, event_seq, takeovers, cursor, percent, status, started_at, flow,
                          flow_version, caller_id, caller_role, parent_id, created_at, input)
    select n.id, n.owner, n.epoch, 1, n.event_seq, 0, n.cursor, 0, 'running', n.created_at, n.flow, n.flow_version,
           n.caller_id, n.caller_role, n.parent_id, n.created_at, n.input::json
    from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::int[], $6::text[], $7::text[], $8::uuid[],
                $9::text[], $10::uuid[], $11::timestamptz[], $12::text[])
        as n(id, owner, epoch, event_seq, cursor, flow, flow_version, caller_id, caller_role, parent_id, created_at,
             input)
), moved as (
    update flow_run r
    set owner = case when b.released then null else r.owner end, version = r.version + 1, event_seq = b.event_seq,
        takeovers = b.takeovers, cursor = b.cursor, percent = b.percent, status = b.status, cause = b.cause,
        error = b.error::json, finished_at = b.finished_at, wake_at = b.wake_at,
        host = b.host,
        -- A cancel that came while the run was being let go must not wait for the run's time.
        claimable_at = case when b.claimable_at is not null and r.cancel_requested and b.status <> 'undoing'
                            then now() else b.claimable_at end
    from unnest($13::uuid[], $14::uuid[], $15::bigint[], $16::bigint[], $17::bool[], $18::bigint[], $19::int[],
                $20::int[], $21::smallint[], $22::text[], $23::text[], $24::text[], $25::timestamptz[],
                $26::timestamptz[], $27::timestamptz[], $28::text[])
        as b(id, owner, epoch, version, released, event_seq, takeovers, cursor, percent, status, cause, error,
             finished_at, wake_at, claimable_at, host)
    where r.id = b.id and r.owner = b.owner and r.epoch = b.epoch and r.version = b.version
      -- The join alone could be planned as a scan of all runs. The array makes it look-ups by key whatever the tables'
      -- sizes were when it was planned, and the bounds say which partitions are meant before any is opened.
      and r.id = any($13::uuid[]) and r.id between $56::uuid and $57::uuid
    returning r.id, r.cancel_requested
), stepped as (
    insert into step (run_id, seq, position, attempt, status, undo_status, undoable, undo_attempt, started_event,
                      finished_event, started_at, finished_at, waited_until, name, task, input, output, error,
                      undo_error, secrets)
    select s.run_id, s.seq, s.position, s.attempt, s.status, s.undo_status, s.undoable, s.undo_attempt,
           s.started_event, s.finished_event, s.started_at, s.finished_at, s.waited_until, s.name, s.task,
           s.input::json, s.output::json, s.error::json, s.undo_error::json,
           s.secrets::json
    from unnest($29::uuid[], $30::int[], $31::int[], $32::int[], $33::text[], $34::text[], $35::bool[], $36::int[],
                $37::bigint[], $38::bigint[], $39::timestamptz[], $40::timestamptz[], $41::timestamptz[], $42::text[],
                $43::text[], $44::text[], $45::text[], $46::text[], $47::text[],
                $48::text[])
        as s(run_id, seq, position, attempt, status, undo_status, undoable, undo_attempt, started_event,
             finished_event, started_at, finished_at, waited_until, name, task, input, output, error, undo_error,
             secrets)
    where s.run_id in (select m.id from moved m)
    on conflict (run_id, seq) do update
    set status = excluded.status, undo_status = excluded.undo_status, undoable = excluded.undoable,
        undo_attempt = excluded.undo_attempt, finished_event = excluded.finished_event,
        finished_at = excluded.finished_at, waited_until = excluded.waited_until, output = excluded.output,
        error = excluded.error, undo_error = excluded.undo_error
), told as (
    insert into event (run_id, number, kind, at, step, attempt, data)
    select e.run_id, e.number, e.kind, e.at, e.step, e.attempt, e.data::json
    from unnest($49::uuid[], $50::bigint[], $51::text[], $52::timestamptz[], $53::text[], $54::int[], $55::text[])
        as e(run_id, number, kind, at, step, attempt, data)
    where e.run_id in (select m.id from moved m)
)
select id, cancel_requested from moved";

/// Declares a struct of columns and gives them as parameters, in order.
macro_rules! arrays {
    ($name:ident { $($field:ident: $type:ty,)+ }) => {
        #[derive(Default)]
        struct $name {
            $($field: Vec<$type>,)+
        }

        impl $name {
            fn push_to<'a>(&'a self, parameters: &mut Vec<&'a (dyn ToSql + Sync)>) {
                $(parameters.push(&self.$field);)+
            }
        }
    };
}

arrays!(Created {
    id: Uuid, owner: Option<Uuid>, epoch: i64, event_seq: i64, cursor: Option<i32>, flow: String,
    flow_version: String, caller_id: Uuid, caller_role: &'static str, parent_id: Option<Uuid>,
    created_at: Timestamp, input: String,
});

arrays!(Moved {
    id: Uuid, owner: Uuid, epoch: i64, version: i64, released: bool, event_seq: i64, takeovers: i32,
    cursor: Option<i32>, percent: i16, status: &'static str, cause: Option<&'static str>, error: Option<String>,
    finished_at: Option<Timestamp>, wake_at: Option<Timestamp>, claimable_at: Option<Timestamp>,
    host: Option<String>,
});

arrays!(Stepped {
    run_id: Uuid, seq: i32, position: i32, attempt: i32, status: &'static str, undo_status: &'static str,
    undoable: bool, undo_attempt: i32, started_event: i64, finished_event: Option<i64>, started_at: Timestamp,
    finished_at: Option<Timestamp>, waited_until: Option<Timestamp>, name: String, task: String, input: String,
    output: Option<String>, error: Option<String>, undo_error: Option<String>, secrets: Option<String>,
});

arrays!(Told {
    run_id: Uuid, number: i64, kind: &'static str, at: Timestamp, step: Option<String>, attempt: Option<i32>,
    data: Option<String>,
});

#[derive(Default)]
pub(super) struct Arrays {
    created: Created,
    moved: Moved,
    stepped: Stepped,
    told: Told,
    keys: Vec<(String, RunId)>,
    lowest: Uuid,
    highest: Uuid,
}

impl Arrays {
    pub(super) fn of(writes: &[Write]) -> Self {
        let mut arrays = Self::default();
        for write in writes {
            match write {
                Write::Create { run, .. } => arrays.created.push(run),
                Write::Checkpoint { checkpoint, .. } => arrays.push(checkpoint),
            }
        }
        arrays.lowest = arrays.moved.id.iter().min().copied().unwrap_or_default();
        arrays.highest = arrays.moved.id.iter().max().copied().unwrap_or_default();
        arrays
    }

    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut parameters = Vec::with_capacity(57);
        self.created.push_to(&mut parameters);
        self.moved.push_to(&mut parameters);
        self.stepped.push_to(&mut parameters);
        self.told.push_to(&mut parameters);
        parameters.push(&self.lowest);
        parameters.push(&self.highest);
        parameters
    }

    /// Keys whose holders end with this batch.
    pub(super) fn handed_on(&self) -> &[(String, RunId)] {
        &self.keys
    }

    fn push(&mut self, checkpoint: &Checkpoint) {
        self.moved.push(checkpoint);
        for step in &checkpoint.steps {
            self.stepped.push(checkpoint.run, step);
        }
        for event in &checkpoint.events {
            self.told.push(checkpoint.run, event);
        }
        if let Some(key) = &checkpoint.concurrency_key {
            self.keys.push((key.clone(), checkpoint.run));
        }
    }
}

impl Created {
    fn push(&mut self, run: &Run) {
        self.id.push(run.id.0);
        self.owner.push(run.head.owner.map(|owner| owner.0));
        self.epoch.push(run.head.epoch);
        self.event_seq.push(run.head.event_seq);
        self.cursor.push(run.head.cursor.map(|cursor| cursor as i32));
        self.flow.push(run.definition.name.clone());
        self.flow_version.push(run.definition_hash.to_string());
        self.caller_id.push(run.caller.id.0);
        self.caller_role.push(run.caller.role.as_str());
        self.parent_id.push(run.parent.map(|parent| parent.0));
        self.created_at.push(run.created_at);
        self.input.push(run.input.to_string());
    }
}

impl Moved {
    fn push(&mut self, checkpoint: &Checkpoint) {
        let head = &checkpoint.head;
        self.id.push(checkpoint.run.0);
        self.owner.push(checkpoint.owner.0);
        self.epoch.push(checkpoint.epoch);
        self.version.push(checkpoint.version);
        self.released.push(checkpoint.release.is_some());
        self.event_seq.push(head.event_seq);
        self.takeovers.push(head.takeovers);
        self.cursor.push(head.cursor.map(|cursor| cursor as i32));
        self.percent.push(head.percent.into());
        self.status.push(head.status.as_str());
        self.cause.push(head.cause.map(|cause| cause.as_str()));
        self.error.push(head.error.as_ref().and_then(|error| serde_json::to_string(error).ok()));
        self.finished_at.push(head.finished_at);
        self.wake_at.push(head.wake_at);
        self.host.push(head.host_id.clone());
        self.claimable_at.push(match checkpoint.release {
            Some(Release::At(at)) => Some(at),
            Some(Release::Final) | None => None,
        });
    }
}

impl Stepped {
    fn push(&mut self, run: RunId, step: &Step) {
        self.run_id.push(run.0);
        self.seq.push(step.seq);
        self.position.push(step.index as i32);
        self.attempt.push(step.attempt as i32);
        self.status.push(step.status.as_str());
        self.undo_status.push(step.undo.as_str());
        self.undoable.push(step.undoable);
        self.undo_attempt.push(step.undo_attempt as i32);
        self.started_event.push(step.started_event);
        self.finished_event.push(step.finished_event);
        self.started_at.push(step.started_at);
        self.finished_at.push(step.finished_at);
        self.waited_until.push(step.waited_until);
        self.name.push(step.name.clone());
        self.task.push(step.task.clone());
        self.input.push(step.input.to_string());
        self.output.push(step.output.as_ref().map(|output| output.to_string()));
        self.error.push(step.error.as_ref().map(reason_json));
        self.undo_error.push(step.undo_error.as_ref().map(reason_json));
        self.secrets.push((!step.secrets.is_empty()).then(|| serde_json::json!(step.secrets).to_string()));
    }
}

impl Told {
    fn push(&mut self, run: RunId, event: &Event) {
        self.run_id.push(run.0);
        self.number.push(event.number);
        self.kind.push(event.kind.as_str());
        self.at.push(event.at);
        self.step.push(event.step.clone());
        self.attempt.push(event.attempt.map(|attempt| attempt as i32));
        self.data.push((!event.data.is_null()).then(|| event.data.to_string()));
    }
}
