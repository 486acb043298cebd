-- One timeline a session. What happens is told where it happens: runs have their events, rooms their messages, and
-- all else is noted. Whoever looks has what is new put in order into one list, once, with numbers that stay.
create table session_timeline (
    session_id uuid not null,
    -- Numbers given out: of entries, and of notes.
    head bigint not null default 0,
    notes bigint not null default 0,
    -- What has been taken into the list. A writer of the list names the version it has read.
    notes_taken bigint not null default 0,
    messages_taken bigint not null default 0,
    version bigint not null default 0,
    constraint session_timeline_pkey primary key (session_id),
    constraint session_timeline_session_fkey foreign key (session_id) references session (id) on delete cascade
);

-- Runs that are about a session. They have no foreign key: runs are dropped by age, timelines stay.
create table session_run (
    session_id uuid not null,
    run_id uuid not null,
    events_taken bigint not null default 0,
    over boolean not null default false,
    constraint session_run_pkey primary key (session_id, run_id),
    constraint session_run_session_fkey foreign key (session_id) references session (id) on delete cascade
);

create table session_note (
    session_id uuid not null,
    number bigint not null,
    -- Notes with the same key are one.
    key text,
    kind text not null,
    at timestamptz not null default clock_timestamp(),
    data jsonb not null,
    constraint session_note_pkey primary key (session_id, number),
    constraint session_note_key_key unique (session_id, key),
    constraint session_note_session_fkey foreign key (session_id) references session (id) on delete cascade
);

create table session_entry (
    session_id uuid not null,
    number bigint not null,
    kind text not null,
    at timestamptz not null,
    run_id uuid,
    step text,
    data jsonb not null,
    constraint session_entry_pkey primary key (session_id, number),
    constraint session_entry_session_fkey foreign key (session_id) references session (id) on delete cascade
);

-- The row of the timeline is locked, so that who sees a note sees all before it.
create function note_session(session uuid, what text, once text, told jsonb, happened timestamptz default null)
returns void language plpgsql as $$
declare
    next bigint;
begin
    insert into session_timeline (session_id) values (session) on conflict do nothing;
    perform 1 from session_timeline where session_id = session for update;
    if once is not null and exists (select from session_note where session_id = session and key = once) then
        return;
    end if;
    update session_timeline set notes = notes + 1 where session_id = session returning notes into next;
    insert into session_note (session_id, number, key, kind, at, data)
    values (session, next, once, what, coalesce(happened, clock_timestamp()), told);
end
$$;

create function note_session_moved() returns trigger language plpgsql as $$
declare
    signed record;
begin
    if tg_op = 'INSERT' then
        select door, at into signed from sign_in where user_id = new.user_id order by at desc limit 1;
        if found then
            perform note_session(new.id, 'sign_in', null, jsonb_build_object('door', signed.door), signed.at);
        end if;
    end if;
    if tg_op = 'INSERT' or old.status is distinct from new.status then
        perform note_session(new.id, 'session.' || new.status, null, jsonb_build_object('lab', new.lab));
    end if;
    if new.run_id is not null then
        insert into session_run (session_id, run_id) values (new.id, new.run_id) on conflict do nothing;
    end if;
    return null;
end
$$;
create trigger session_noted after insert or update of status, run_id on session
    for each row execute function note_session_moved();

create function note_sign_in() returns trigger language plpgsql as $$
begin
    perform note_session(id, 'sign_in', null, jsonb_build_object('door', new.door), new.at)
    from session where user_id = new.user_id and ended_at is null order by id;
    return null;
end
$$;
create trigger sign_in_noted after insert on sign_in for each row execute function note_sign_in();

create function note_grade() returns trigger language plpgsql as $$
begin
    perform note_session(new.session_id, 'grade', null, jsonb_build_object(
        'attempt', new.attempt, 'score', new.score, 'max', new.max, 'run', new.run_id));
    return null;
end
$$;
create trigger grade_noted after insert on grade for each row execute function note_grade();
