-- How many runs may go on at once: of a flow, gate 'flow NAME', or in all, gate 'service'.

create table flow_limit (
    gate text not null,
    -- None: no limit any more.
    at_once integer,
    constraint flow_limit_pkey primary key (gate),
    constraint flow_limit_check check (at_once > 0)
);

-- Limited runs that are not over: those that go on, and those that wait for one of them to end. A run passes its gates
-- one after another, its flow's first, so that nobody keeps a place of the service's while he waits for another.
create table flow_place (
    gate text not null,
    run_id uuid not null,
    ticket bigint not null,
    taken boolean not null,
    -- The gates after this one.
    later text[] not null,
    constraint flow_place_pkey primary key (gate, run_id)
);
create index flow_place_run on flow_place (run_id);
create index flow_place_taken on flow_place (gate) where taken;
create index flow_place_waiting on flow_place (gate, ticket) where not taken;

-- The gates that a run passes; none of most runs, which then never touch the tables above.
alter table flow_run add column gates text[];

-- Lets a run through its gates, as far as there are places. True: it has passed all, and may be claimed.
create function flow_enter(run uuid, gates text[]) returns boolean language plpgsql as $$
begin
    if cardinality(gates) > 0 then
        insert into flow_limit (gate) values (gates[1]) on conflict (gate) do nothing;
        insert into flow_place (gate, run_id, ticket, taken, later)
            values (gates[1], run, nextval('flow_run_ticket'), false, gates[2:]);
        perform flow_fill(gates[1]);
        return (select count(*) = cardinality(gates) from flow_place
                where run_id = run and gate = any (gates) and taken);
    end if;
    update flow_run set claimable_at = now()
     where id = run and owner is null and claimable_at is null and finished_at is null;
    if found then
        perform pg_notify('flow_signal', 'claimable');
    end if;
    return true;
end
$$;

-- Gives free places to those who have waited longest. The limit's row is locked until the transaction ends: places are
-- given out by one at a time, in all processes.
create function flow_fill(which text) returns void language plpgsql as $$
declare
    most integer;
    free bigint;
    heir record;
begin
    select at_once into most from flow_limit where gate = which for update;
    select greatest(most - count(*), 0) into free from flow_place where gate = which and taken;
    for heir in
        select run_id, later from flow_place where gate = which and not taken
        order by ticket limit case when most is not null then free end
    loop
        update flow_place set taken = true where gate = which and run_id = heir.run_id;
        perform flow_enter(heir.run_id, heir.later);
    end loop;
end
$$;

-- Locks the limits that runs count against, in the order in which everybody does: 'flow …' before 'service'.
create function flow_lock_limits(runs uuid[]) returns text[] language plpgsql as $$
declare
    gates text[];
begin
    select array_agg(distinct gate order by gate) into gates from flow_place where run_id = any (runs);
    perform 1 from flow_limit where gate = any (gates) order by gate for update;
    return gates;
end
$$;

-- Runs are over, or wait no more: their places go to others.
create function flow_leave(runs uuid[]) returns void language plpgsql as $$
declare
    gates text[] := flow_lock_limits(runs);
    which text;
begin
    delete from flow_place where run_id = any (runs);
    foreach which in array coalesce(gates, '{}') loop
        perform flow_fill(which);
    end loop;
end
$$;

-- So many at once from now on; null: any number.
create function flow_set_limit(which text, most integer) returns void language plpgsql as $$
begin
    if most is null then
        update flow_limit set at_once = null where gate = which;
    else
        insert into flow_limit (gate, at_once) values (which, most)
        on conflict (gate) do update set at_once = excluded.at_once;
    end if;
    perform flow_fill(which);
end
$$;

-- As before, but the heir of a key passes its gates before it may be claimed.
create or replace function flow_hand_over(held_key text, holder uuid) returns void language plpgsql as $$
declare
    heir uuid;
    heirs_gates text[];
begin
    perform 1 from concurrency_key where key = held_key and run_id = holder for update;
    if not found then
        return;
    end if;
    select id, gates into heir, heirs_gates from flow_run
     where concurrency_key = held_key and status in ('queued', 'undoing') and owner is null and claimable_at is null
       and id <> holder
     order by ticket limit 1;
    if heir is null then
        delete from concurrency_key where key = held_key;
    else
        update concurrency_key set run_id = heir where key = held_key;
        perform flow_enter(heir, heirs_gates);
    end if;
end
$$;
