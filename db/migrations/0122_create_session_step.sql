-- How far a learner is in a session's tutorial: the last look at each step. A step that was passed stays passed.
create table session_step (
    session_id uuid not null,
    step integer not null,
    passed_at timestamptz,
    checked_at timestamptz not null default now(),
    -- Whether the last look found it done, and what it said.
    passed boolean not null,
    message text,
    checks integer not null default 1,
    last_run uuid not null,
    constraint session_step_pkey primary key (session_id, step),
    constraint session_step_session_fkey foreign key (session_id) references session (id) on delete cascade,
    constraint session_step_step_check check (step >= 1)
);
