-- Flows in which no new step starts, gate 'flow NAME', or all of them, gate 'service'.

create table flow_pause (
    gate text not null,
    since timestamptz not null default now(),
    by_user uuid not null,
    reason text,
    constraint flow_pause_pkey primary key (gate)
);

-- A run that waits for the end of a pause may be claimed at the end of the world; here it is brought forward. Rows that
-- somebody else brings forward at this moment are passed over.
create function flow_wake_paused() returns void language plpgsql as $$
begin
    update flow_run set claimable_at = now()
     where id in (
        select r.id from flow_run r
        where r.claimable_at = '9999-01-01 00:00:00+00'
          and not exists (select from flow_pause p where p.gate in ('service', 'flow ' || r.flow))
        order by r.id for update of r skip locked);
    if found then
        perform pg_notify('flow_signal', 'claimable');
    end if;
end
$$;
