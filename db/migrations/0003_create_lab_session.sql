-- One learner in one lab. A dirty session is live: only while it is can its owner finish what was left.
create table session (
    id uuid not null,
    user_id uuid not null,
    lab text not null,
    lab_version text not null,
    status text not null,
    outputs jsonb not null default '{}',
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    constraint session_pkey primary key (id),
    constraint session_user_fkey foreign key (user_id) references app_user (id),
    constraint session_status_check check (
        status in ('launching', 'ready', 'grading', 'finishing', 'finished', 'failed', 'dirty', 'expired')
    ),
    constraint session_ended_check check ((ended_at is not null) = (status in ('finished', 'failed', 'expired')))
);

create unique index session_live_key on session (user_id, lab) where ended_at is null;
create index session_user_index on session (user_id, created_at);

-- Graded attempts, appended and never changed. The run has no foreign key: runs are dropped by age, grades stay.
create table grade (
    session_id uuid not null,
    attempt integer not null,
    run_id uuid not null,
    score double precision not null,
    max double precision not null,
    tests jsonb not null,
    feedback text,
    grader_sha256 text not null,
    lab_version text not null,
    duration_ms bigint not null,
    graded_at timestamptz not null default now(),
    constraint grade_pkey primary key (session_id, attempt),
    constraint grade_run_key unique (session_id, run_id),
    constraint grade_session_fkey foreign key (session_id) references session (id),
    constraint grade_attempt_check check (attempt >= 1),
    constraint grade_score_check check (score >= 0 and score <= max and max < 'infinity')
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % are never changed', tg_table_name
        using errcode = 'restrict_violation', constraint = tg_name;
end
$$;

create trigger grade_append_only before update or delete or truncate on grade
    for each statement execute function refuse_change();

-- Copies of Terraform states, encrypted by the service with the session and the serial bound in.
create table terraform_state (
    session_id uuid not null,
    lineage text not null,
    serial bigint not null,
    -- Which key it was encrypted with.
    key_id text not null,
    nonce bytea not null,
    ciphertext bytea not null,
    kept_at timestamptz not null default now(),
    constraint terraform_state_pkey primary key (session_id, lineage, serial),
    constraint terraform_state_session_fkey foreign key (session_id) references session (id),
    constraint terraform_state_serial_check check (serial >= 0),
    constraint terraform_state_nonce_check check (octet_length(nonce) = 24)
);
