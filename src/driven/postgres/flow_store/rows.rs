//! Between rows and the domain's values.

use std::sync::Arc;

use flow_domain::flows::definition::Definition;
use flow_domain::flows::outcome::Reason;
use flow_domain::flows::run::{Cause, Head, Run, RunError, RunStatus};
use flow_domain::flows::step::{Step, StepStatus, UndoStatus};
use flow_domain::trace::TraceParent;
use flow_domain::users::{Caller, Role};
use flow_domain::{Cancel, Error, Result, RunId, UserId, WorkerId};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::gates::gates_of;
use crate::driven::postgres::pool::column;

/// Columns of `flow_run` in one place; `r` is its alias.
macro_rules! run_columns {
    () => {
        "r.id, r.owner, r.epoch, r.version, r.event_seq, r.takeovers, r.cursor, r.percent, r.cancel_requested, \
         r.cancel_forced, r.status, r.started_at, r.finished_at, r.wake_at, r.cause, r.error, r.superseded_by, r.host, r.created_at, r.flow, \
         r.flow_version, r.caller_id, r.caller_role, r.parent_id, r.concurrency_key, r.gates, r.input, r.trace"
    };
}
pub(super) use run_columns;

pub(super) fn run(row: &Row, definition: Arc<Definition>, steps: Vec<Step>) -> Result<Run> {
    let status: String = column(row, "status")?;
    let cause: Option<String> = column(row, "cause")?;
    let role: String = column(row, "caller_role")?;
    let error: Option<Value> = column(row, "error")?;
    let hash: String = column(row, "flow_version")?;
    let head = Head {
        status: RunStatus::parse(&status).ok_or_else(|| unknown("run status", &status))?,
        cause: cause.as_deref().and_then(Cause::parse),
        error: error.map(serde_json::from_value::<RunError>).transpose().map_err(Error::internal)?,
        cursor: column::<Option<i32>>(row, "cursor")?.map(|cursor| cursor as usize),
        owner: column::<Option<uuid::Uuid>>(row, "owner")?.map(WorkerId),
        epoch: column(row, "epoch")?,
        version: column(row, "version")?,
        event_seq: column(row, "event_seq")?,
        takeovers: column(row, "takeovers")?,
        cancel: cancel(row)?,
        percent: column::<i16>(row, "percent")? as u8,
        started_at: column(row, "started_at")?,
        finished_at: column(row, "finished_at")?,
        wake_at: column(row, "wake_at")?,
        host_id: column(row, "host")?,
        superseded_by: column::<Option<uuid::Uuid>>(row, "superseded_by")?.map(RunId),
    };
    let caller = Caller {
        id: UserId(column(row, "caller_id")?),
        role: Role::parse(&role).ok_or_else(|| unknown("role", &role))?,
    };
    let mut run = Run::load(
        RunId(column(row, "id")?),
        definition,
        hash.into(),
        caller,
        Arc::new(column(row, "input")?),
        column::<Option<uuid::Uuid>>(row, "parent_id")?.map(RunId),
        column(row, "concurrency_key")?,
        column(row, "created_at")?,
        head,
        steps,
    );
    run.trace = column::<Option<String>>(row, "trace")?.as_deref().and_then(TraceParent::parse);
    run.gates = gates_of(row)?;
    Ok(run)
}

/// Of any row with the two columns.
pub(super) fn cancel(row: &Row) -> Result<Option<Cancel>> {
    Ok(match (column(row, "cancel_requested")?, column(row, "cancel_forced")?) {
        (_, true) => Some(Cancel::Forced),
        (true, false) => Some(Cancel::Orderly),
        (false, false) => None,
    })
}

pub(super) fn step(row: &Row) -> Result<Step> {
    let status: String = column(row, "status")?;
    let undo: String = column(row, "undo_status")?;
    Ok(Step {
        seq: column(row, "seq")?,
        index: column::<i32>(row, "position")? as usize,
        name: column(row, "name")?,
        task: column(row, "task")?,
        attempt: column::<i32>(row, "attempt")? as u32,
        status: StepStatus::parse(&status).ok_or_else(|| unknown("step status", &status))?,
        input: Arc::new(column(row, "input")?),
        secrets: column::<Option<Value>>(row, "secrets")?
            .map(serde_json::from_value)
            .transpose()
            .map_err(Error::internal)?
            .unwrap_or_default(),
        output: column::<Option<Value>>(row, "output")?.map(Arc::new),
        error: column::<Option<Value>>(row, "error")?.map(reason),
        started_at: column(row, "started_at")?,
        finished_at: column(row, "finished_at")?,
        waited_until: column::<Option<Timestamp>>(row, "waited_until")?,
        undoable: column(row, "undoable")?,
        undo: UndoStatus::parse(&undo).ok_or_else(|| unknown("undo status", &undo))?,
        undo_attempt: column::<i32>(row, "undo_attempt")? as u32,
        undo_error: column::<Option<Value>>(row, "undo_error")?.map(reason),
        started_event: column(row, "started_event")?,
        finished_event: column(row, "finished_event")?,
    })
}

pub(super) fn reason_json(reason: &Reason) -> String {
    json!({"code": reason.code, "detail": reason.detail}).to_string()
}

fn reason(value: Value) -> Reason {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Reason::new(text("code"), text("detail"))
}

fn unknown(what: &str, value: &str) -> Error {
    Error::internal(format!("unknown {what} {value:?} in the database; written by a newer version?"))
}
