-- Drops the oldest week of runs that may go, and says which, or null when none may: every run of it ended longer ago
-- than `keep`. Nothing is deleted row by row; the space is free at once. Concurrency keys, lab sessions and grades are
-- in tables of their own and stay.
create function flow_drop_week(keep interval) returns text language plpgsql as $$
declare
    week text;
    week_end timestamptz;
    live boolean;
    parent text;
begin
    perform pg_advisory_xact_lock(hashtext('flow_ensure_partitions'));
    -- Dropping waits for whoever reads the table, and everybody else then waits behind it: rather another day.
    perform set_config('lock_timeout', '2s', true);
    for week in
        select right(child.relname, 8) from pg_inherits
        join pg_class child on child.oid = inhrelid
        where inhparent = 'flow_run'::regclass and child.relname ~ '^flow_run_[0-9]{8}$'
        order by child.relname
    loop
        week_end := to_date(week, 'YYYYMMDD')::timestamp at time zone 'utc' + interval '7 days';
        exit when week_end + keep > now();
        -- A run that was started in that week may have ended, or been taken back, long after.
        execute format(
            'select exists (select from flow_run_%s where finished_at is null or finished_at + $1 > now())', week)
            into live using keep;
        continue when live;
        foreach parent in array array['event', 'step', 'flow_run'] loop
            execute format('drop table if exists %I', parent || '_' || week);
        end loop;
        return week;
    end loop;
    return null;
end
$$;
