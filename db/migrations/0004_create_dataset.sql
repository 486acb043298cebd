-- What one step of one run stored under a dataset's name. Its row is the lock under which its rows are replaced.
create table dataset_part (
    id bigint generated always as identity,
    dataset text not null,
    run_id uuid not null,
    step text not null,
    stored_at timestamptz not null default now(),
    constraint dataset_part_pkey primary key (id),
    constraint dataset_part_source_key unique (dataset, run_id, step)
);

create index dataset_part_order_index on dataset_part (dataset, id);

create table dataset_row (
    part_id bigint not null,
    position bigint not null,
    content jsonb not null,
    constraint dataset_row_pkey primary key (part_id, position),
    constraint dataset_row_part_fkey foreign key (part_id) references dataset_part (id)
);
