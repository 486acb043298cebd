-- Flows, their runs and what happened in them.
--
-- flow_run, step and event are partitioned by range of their run's id: a UUIDv7 begins with its time, so that a range of
-- ids is a range of days and old runs go by dropping a table. No foreign keys lead to or from them: each would be
-- looked up at every checkpoint, and rows are only ever written by the statement that holds the run's fence.

create table flow_version (
    hash text not null,
    definition json not null,
    -- What a process must have to run it.
    tasks text[] not null,
    runs_on text,
    created_at timestamptz not null default now(),
    constraint flow_version_pkey primary key (hash)
);

create table worker (
    id uuid not null,
    host text not null,
    host_id text not null,
    labels text[] not null,
    tasks text[] not null,
    started_at timestamptz not null default now(),
    heartbeat_at timestamptz not null default now(),
    constraint worker_pkey primary key (id)
);

create sequence flow_run_ticket;

-- What changes stands first and what never changes last: an update's log record then leaves out the long tail.
create table flow_run (
    id uuid not null,
    epoch bigint not null,
    version bigint not null,
    event_seq bigint not null,
    takeovers integer not null,
    percent smallint not null,
    cancel_requested boolean not null default false,
    status text not null,
    owner uuid,
    cursor integer,
    started_at timestamptz,
    finished_at timestamptz,
    wake_at timestamptz,
    -- Set while nobody owns the run and somebody may: the one column that claiming has an index on.
    claimable_at timestamptz,
    cause text,
    error json,
    superseded_by uuid,
    -- Set once a step has started whose work lives on one machine: only that machine's processes take the run.
    host text,
    created_at timestamptz not null,
    flow text not null,
    flow_version text not null,
    caller_id uuid not null,
    caller_role text not null,
    parent_id uuid,
    concurrency_key text,
    ticket bigint,
    input json not null,
    constraint flow_run_pkey primary key (id),
    constraint flow_run_status_check check (status in (
        'queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'undoing', 'undone', 'undo_failed')),
    constraint flow_run_cause_check check (cause in ('failure', 'cancel', 'timeout')),
    constraint flow_run_finished_check check (
        (finished_at is not null) = (status in ('succeeded', 'failed', 'cancelled', 'undone', 'undo_failed'))),
    constraint flow_run_owner_check check (
        owner is null or status not in ('succeeded', 'failed', 'cancelled', 'undone', 'undo_failed')),
    constraint flow_run_percent_check check (percent between 0 and 100)
) partition by range (id);

create index flow_run_claimable on flow_run (claimable_at) where claimable_at is not null;
create index flow_run_owner on flow_run (owner) where owner is not null;
create index flow_run_caller on flow_run (caller_id, id);
create index flow_run_concurrency on flow_run (concurrency_key, ticket) where concurrency_key is not null;

-- One row an attempt. A step's start and end events are read from here; they have their numbers in the run.
create table step (
    run_id uuid not null,
    seq integer not null,
    position integer not null,
    attempt integer not null,
    status text not null,
    undo_status text not null,
    undoable boolean not null,
    undo_attempt integer not null,
    started_event bigint not null,
    finished_event bigint,
    started_at timestamptz not null,
    finished_at timestamptz,
    waited_until timestamptz,
    name text not null,
    task text not null,
    input json not null,
    output json,
    error json,
    undo_error json,
    -- Path and version of each secret in the input, never a value.
    secrets json,
    constraint step_pkey primary key (run_id, seq),
    constraint step_status_check check (status in ('running', 'waiting', 'succeeded', 'failed', 'unknown')),
    constraint step_undo_status_check check (undo_status in ('none', 'pending', 'running', 'done', 'failed'))
) partition by range (run_id);

-- The events that are not read from runs and steps.
create table event (
    run_id uuid not null,
    number bigint not null,
    kind text not null,
    at timestamptz not null,
    step text,
    attempt integer,
    data json,
    constraint event_pkey primary key (run_id, number)
) partition by range (run_id);

-- Who holds a concurrency key. A row is handed on while somebody waits, and deleted when nobody does.
create table concurrency_key (
    key text not null,
    run_id uuid not null,
    constraint concurrency_key_pkey primary key (key)
);

create table idempotency_key (
    caller_id uuid not null,
    scope text not null,
    key text not null,
    body_sha256 text not null,
    run_id uuid not null,
    created_at timestamptz not null default now(),
    constraint idempotency_key_pkey primary key (caller_id, scope, key)
);
create index idempotency_key_age on idempotency_key (created_at);

-- The smallest UUIDv7 of a moment (RFC 9562, 48 bits of milliseconds).
create function uuid_v7_floor(moment timestamptz) returns uuid language sql immutable strict as $$
    select (lpad(to_hex((extract(epoch from moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partitions of this week and the next; weeks begin on Monday, UTC. Every one there is costs each checkpoint
-- a little. In a week's first hour the last one is made too: a process whose clock is behind may still write to it.
create function flow_ensure_partitions() returns void language plpgsql as $$
declare
    week timestamptz;
    name text;
    parent text;
begin
    -- Two services that start at once make each partition once.
    perform pg_advisory_xact_lock(hashtext('flow_ensure_partitions'));
    for offset_weeks in -1..1 loop
        week := date_trunc('week', now() at time zone 'utc') at time zone 'utc' + offset_weeks * interval '7 days';
        continue when week + interval '7 days 1 hour' < now();
        foreach parent in array array['flow_run', 'step', 'event'] loop
            name := parent || '_' || to_char(week at time zone 'utc', 'YYYYMMDD');
            if to_regclass(name) is null then
                execute format('create table %I partition of %I for values from (%L) to (%L)',
                    name, parent, uuid_v7_floor(week), uuid_v7_floor(week + interval '7 days'));
                if parent = 'flow_run' then
                    -- Room on each page for the next versions of its rows, so that updates touch no index; rows
                    -- change some ten times in their first seconds and then never again.
                    execute format('alter table %I set (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.1)', name);
                end if;
            end if;
        end loop;
    end loop;
end
$$;
select flow_ensure_partitions();

-- Passes a key on from a run that is over to the one that has waited longest.
create function flow_hand_over(held_key text, holder uuid) returns void language plpgsql as $$
declare
    heir uuid;
begin
    perform 1 from concurrency_key where key = held_key and run_id = holder for update;
    if not found then
        return;
    end if;
    select id into heir from flow_run
     where concurrency_key = held_key and status = 'queued' and id <> holder and not cancel_requested
     order by ticket limit 1;
    if heir is null then
        delete from concurrency_key where key = held_key;
    else
        update concurrency_key set run_id = heir where key = held_key;
        update flow_run set claimable_at = now() where id = heir;
        perform pg_notify('flow_signal', 'claimable');
    end if;
end
$$;
