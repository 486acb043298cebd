//! New runs: the plain ones by the group commit, those with a key in a transaction of their own.

use deadpool_postgres::Transaction;
use flow_domain::flows::run::Run;
use flow_domain::flows::store::{Created, EVENT_SCOPE, Idempotency, NewRun};
use flow_domain::{Error, Result, RunId};

use super::PgFlowStore;
use super::gates::{self, parked};
use crate::driven::postgres::error;
use crate::driven::postgres::pool::{column, execute, query_opt};

pub(super) async fn create(store: &PgFlowStore, new: NewRun) -> Result<Created> {
    keep_definition(store, &new.run).await?;
    let plain = new.run.concurrency_key.is_none() && new.run.gates.is_empty();
    if new.claim && new.idempotency.is_none() && plain {
        store.writer.create(new.run).await?;
        return Ok(Created::Stored { claimed: true });
    }
    let mut client = store.pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let created = insert(&transaction, &new, store.announces).await?;
    transaction.commit().await.map_err(error::from)?;
    Ok(created)
}

/// The old run's undo moves to the new one in the transaction that stores it.
pub(super) async fn supersede(
    store: &PgFlowStore,
    old: RunId,
    old_version: i64,
    new: NewRun,
) -> Result<Created> {
    keep_definition(store, &new.run).await?;
    let mut client = store.pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let created = insert(&transaction, &new, store.announces).await?;
    if matches!(created, Created::Stored { .. }) {
        let marked = execute(
            &transaction,
            "update flow_run set superseded_by = $3::uuid, version = version + 1
             where id = $1::uuid and version = $2::bigint and superseded_by is null and finished_at is not null",
            &[&old.0, &old_version, &new.run.id.0],
        )
        .await?;
        if marked == 0 {
            return Err(Error::conflict("run.changed", "The run has changed meanwhile; look at it again."));
        }
        for step in &new.run.steps {
            insert_step(&transaction, &new.run, step).await?;
        }
    }
    transaction.commit().await.map_err(error::from)?;
    Ok(created)
}

/// A definition is stored once by its hash, before the first run that has it; now and then it is said that it is needed.
async fn keep_definition(store: &PgFlowStore, run: &Run) -> Result<()> {
    if store.definitions.is_told(&run.definition_hash) {
        return Ok(());
    }
    let definition = serde_json::to_value(&*run.definition).map_err(Error::internal)?;
    let mut tasks: Vec<&str> = run.definition.tasks.iter().map(|step| step.task_name()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    store
        .pool
        .execute(
            "insert into flow_version (hash, definition, tasks, runs_on)
             values ($1::text, $2::json, $3::text[], $4::text) on conflict (hash) do update set known_at = now()",
            &[&&*run.definition_hash, &definition, &tasks, &run.definition.runs_on],
        )
        .await?;
    store.definitions.remember(&run.definition_hash, &run.definition, true);
    Ok(())
}

async fn insert(transaction: &Transaction<'_>, new: &NewRun, announce: bool) -> Result<Created> {
    let run = &new.run;
    if let Some(key) = &new.idempotency
        && let Some(replay) = reserve(transaction, key, run.id).await?
    {
        return Ok(replay);
    }
    let holds = match &run.concurrency_key {
        Some(key) => hold(transaction, key, run.id).await?,
        None => true,
    };
    let may = holds && gates::enter(transaction, run).await?;
    let claimed = new.claim && may;
    let head = &run.head;
    execute(
        transaction,
        "insert into flow_run (id, owner, epoch, version, event_seq, takeovers, cursor, percent, status, started_at,
                               claimable_at, flow, flow_version, caller_id, caller_role, parent_id, created_at,
                               concurrency_key, ticket, input, host, trace, gates)
         select $1::uuid, case when c.claimed then $2::uuid end, case when c.claimed then 1 else 0 end, 1,
                $15::bigint + case when c.claimed then 1 else 0 end, 0, $3::int, $4::smallint,
                case when c.claimed then 'running' else 'queued' end, case when c.claimed then $10::timestamptz end,
                case when c.claimed or not $13::bool then null
                     when exists (select from flow_pause p where p.gate in ('service', 'flow ' || $5::text))
                     then $18::timestamptz else now() end, $5::text, $6::text, $7::uuid, $8::text,
                $9::uuid, $10::timestamptz, $11::text,
                case when $11::text is not null then nextval('flow_run_ticket') end, $12::json, $16::text,
                $17::text, $19::text[]
         from (select $14::bool as claimed) c",
        &[
            &run.id.0,
            &head.owner.map(|owner| owner.0),
            &head.cursor.map(|cursor| cursor as i32),
            &i16::from(head.percent),
            &run.definition.name,
            &&*run.definition_hash,
            &run.caller.id.0,
            &run.caller.role.as_str(),
            &run.parent.map(|parent| parent.0),
            &run.created_at,
            &run.concurrency_key,
            &*run.input,
            &may,
            &claimed,
            &(head.event_seq - i64::from(new.claim)),
            &head.host_id,
            &run.trace.as_ref().map(ToString::to_string),
            &parked(),
            &(!run.gates.is_empty()).then(|| gates::names(run)),
        ],
    )
    .await?;
    if !claimed && may && announce {
        execute(transaction, "select pg_notify('flow_signal', 'claimable')", &[]).await?;
    }
    Ok(Created::Stored { claimed })
}

/// None: the key is this run's now. A key older than a day is as good as unused, unless it is an event's.
async fn reserve(transaction: &Transaction<'_>, key: &Idempotency, run: RunId) -> Result<Option<Created>> {
    let reserved = execute(
        transaction,
        "insert into idempotency_key (caller_id, scope, key, body_sha256, run_id)
         values ($1::uuid, $2::text, $3::text, $4::text, $5::uuid)
         on conflict (caller_id, scope, key) do update
         set body_sha256 = excluded.body_sha256, run_id = excluded.run_id, created_at = now()
         where idempotency_key.created_at < now() - interval '24 hours'
           and not starts_with(idempotency_key.scope, $6::text)",
        &[&key.caller.0, &key.scope, &key.key, &key.body_sha256, &run.0, &EVENT_SCOPE],
    )
    .await?;
    if reserved == 1 {
        return Ok(None);
    }
    let winner = query_opt(
        transaction,
        "select body_sha256, run_id from idempotency_key
         where caller_id = $1::uuid and scope = $2::text and key = $3::text",
        &[&key.caller.0, &key.scope, &key.key],
    )
    .await?
    .ok_or_else(|| Error::internal("an idempotency key went away under us"))?;
    let same = column::<String>(&winner, "body_sha256")? == key.body_sha256;
    Ok(Some(if same { Created::Replayed(RunId(column(&winner, "run_id")?)) } else { Created::KeyReused }))
}

/// Whether the run holds its key now. The row stays locked until the run is stored, so that a holder that ends at
/// this moment finds the run among those that wait.
pub(super) async fn hold(transaction: &Transaction<'_>, key: &str, run: RunId) -> Result<bool> {
    let holder = query_opt(
        transaction,
        "insert into concurrency_key (key, run_id) values ($1::text, $2::uuid)
         on conflict (key) do update set run_id = concurrency_key.run_id
         returning run_id",
        &[&key, &run.0],
    )
    .await?
    .ok_or_else(|| Error::internal("a concurrency key went away under us"))?;
    Ok(column::<uuid::Uuid>(&holder, "run_id")? == run.0)
}

async fn insert_step(
    transaction: &Transaction<'_>,
    run: &Run,
    step: &flow_domain::flows::step::Step,
) -> Result<u64> {
    let output = step.output.as_deref();
    execute(
        transaction,
        "insert into step (run_id, seq, position, attempt, status, undo_status, undoable, undo_attempt, started_event,
                           finished_event, started_at, finished_at, name, task, input, output)
         values ($1::uuid, $2::int, $3::int, $4::int, $5::text, 'none', $6::bool, 0, $7::bigint, $8::bigint,
                 $9::timestamptz, $10::timestamptz, $11::text, $12::text, $13::json, $14::json)",
        &[
            &run.id.0,
            &step.seq,
            &(step.index as i32),
            &(step.attempt as i32),
            &step.status.as_str(),
            &step.undoable,
            &step.started_event,
            &step.finished_event,
            &step.started_at,
            &step.finished_at,
            &step.name,
            &step.task,
            &*step.input,
            &output,
        ],
    )
    .await
}
