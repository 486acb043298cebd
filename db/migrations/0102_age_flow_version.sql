-- Definitions whose runs were dropped go too. A process says at least once a day which ones it still starts runs of, so
-- that none goes whose next run is just being stored.
alter table flow_version add column known_at timestamptz not null default now();

-- How many went.
create function flow_forget_versions() returns bigint language sql as $$
    with gone as (
        delete from flow_version v
        where v.known_at < now() - interval '3 days'
          and not exists (select from flow_run r where r.flow_version = v.hash)
        returning 1)
    select count(*) from gone
$$;
