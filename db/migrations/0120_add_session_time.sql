-- A session's time: its clock starts when it is handed over, and it is over when nobody used it for too long or when
-- all its time is. Sessions of before have the times that labs had by default.
alter table session
    add column idle_s bigint not null default 3600,
    -- With what it was extended by.
    add column total_s bigint not null default 14400,
    -- How long before its end it is warned of.
    add column warn_s bigint not null default 300,
    add column extend_s bigint not null default 1800,
    add column extensions_left integer not null default 2,
    add column ready_at timestamptz,
    -- The last call of its owner.
    add column seen_at timestamptz,
    add column expires_at timestamptz,
    -- The end that was warned of: another end is warned of anew.
    add column warned_for timestamptz,
    -- Why its time is over; its finish is asked for from then on.
    add column ending text,
    add column ending_tried_at timestamptz,
    add constraint session_ending_check check (ending in ('idle', 'total')),
    add constraint session_time_check check (
        idle_s > 0 and total_s > 0 and warn_s >= 0 and extend_s >= 0 and extensions_left >= 0
    );

create function set_session_time() returns trigger language plpgsql as $$
begin
    if new.status = 'ready' and new.ready_at is null then
        new.ready_at := now();
        new.seen_at := now();
    end if;
    if new.ready_at is not null then
        new.expires_at := least(
            new.seen_at + new.idle_s * interval '1 second',
            new.ready_at + new.total_s * interval '1 second');
    end if;
    return new;
end
$$;

create trigger session_time_set before insert or update on session
    for each row execute function set_session_time();

update session set seen_at = seen_at where ended_at is null;

create index session_expires_at_index on session (expires_at) where ended_at is null;
