-- How long Terraform took for a lab's version, of runs that went well; what is left is told by these.
create table lab_time (
    number bigint generated always as identity,
    lab text not null,
    lab_version text not null,
    work text not null,
    took_ms bigint not null,
    kept_at timestamptz not null default now(),
    constraint lab_time_pkey primary key (number),
    constraint lab_time_work_check check (work in ('apply', 'destroy')),
    constraint lab_time_took_check check (took_ms >= 0)
);

create index lab_time_version_index on lab_time (lab, lab_version, work, number);

-- One object that was made, changed or removed. The kind is the resource's type.
create table lab_object_time (
    time_number bigint not null,
    position bigint not null,
    address text not null,
    kind text not null,
    action text not null,
    took_ms bigint not null,
    constraint lab_object_time_pkey primary key (time_number, position),
    constraint lab_object_time_fkey foreign key (time_number) references lab_time (number) on delete cascade,
    constraint lab_object_time_took_check check (took_ms >= 0)
);
