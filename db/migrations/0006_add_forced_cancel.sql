-- Asked for by an operator: no grace, and what a dead machine holds is given up.
alter table flow_run add column cancel_forced boolean not null default false;

-- Passes a key on from a run that is over to the one that has waited longest: to begin, or to be taken back by hand.
-- A run waits for its key while it has neither an owner nor a time to be claimed.
create or replace function flow_hand_over(held_key text, holder uuid) returns void language plpgsql as $$
declare
    heir uuid;
begin
    perform 1 from concurrency_key where key = held_key and run_id = holder for update;
    if not found then
        return;
    end if;
    select id into heir from flow_run
     where concurrency_key = held_key and status in ('queued', 'undoing') and owner is null and claimable_at is null
       and id <> holder
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
