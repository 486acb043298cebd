-- Ids of machines, reserved before they are made: whatever becomes of a run, what it made is found by them.
create table machine_reservation (
    vmid integer not null,
    session_id uuid not null,
    pool text not null,
    tag text not null,
    reserved_at timestamptz not null default now(),
    freed_at timestamptz,
    constraint machine_reservation_session_fkey foreign key (session_id) references session (id) on delete cascade,
    constraint machine_reservation_vmid_check check (vmid between 100 and 999999999)
);
create unique index machine_reservation_vmid_key on machine_reservation (vmid) where freed_at is null;
create index machine_reservation_session_index on machine_reservation (session_id);

-- What a comparison of the cluster with the states found, until it is gone.
create table machine_orphan (
    id uuid not null,
    kind text not null,
    vmid integer not null,
    name text,
    node text,
    session_id uuid,
    found_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    gone_at timestamptz,
    constraint machine_orphan_pkey primary key (id),
    constraint machine_orphan_kind_check check (kind in ('not_in_state', 'not_in_proxmox'))
);
create unique index machine_orphan_key on machine_orphan (kind, vmid) where gone_at is null;

create function free_machines() returns trigger language plpgsql as $$
begin
    update machine_reservation set freed_at = now() where session_id = new.id and freed_at is null;
    return null;
end
$$;
create trigger session_machines_freed after update of ended_at on session
    for each row when (old.ended_at is null and new.ended_at is not null) execute function free_machines();
