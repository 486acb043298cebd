-- What graders left, whatever it was worth; for operators. Appended and never changed, as grades are.
create table grade_evidence (
    number bigint generated always as identity,
    session_id uuid not null,
    run_id uuid not null,
    -- graded, not_gradable, or the code of what went wrong.
    outcome text not null,
    -- Hidden tests too.
    tests jsonb not null,
    -- Head and tail of what the grader wrote.
    output text not null,
    grader_sha256 text not null,
    lab_version text not null,
    duration_ms bigint not null,
    kept_at timestamptz not null default now(),
    constraint grade_evidence_pkey primary key (number),
    constraint grade_evidence_session_fkey foreign key (session_id) references session (id)
);

create index grade_evidence_session_index on grade_evidence (session_id, number);

create trigger grade_evidence_append_only before update or delete or truncate on grade_evidence
    for each statement execute function refuse_change();
