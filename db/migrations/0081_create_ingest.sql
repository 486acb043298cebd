-- Versions of files that a scan looked through.
create table ingest_file (
    id bigint generated always as identity,
    dataset text not null,
    path text not null,
    etag text not null,
    size_bytes bigint not null,
    -- Whose scan it was.
    run_id uuid not null,
    status text not null,
    headers text[] not null,
    -- Records, those that do not fit included.
    rows_found bigint not null,
    rows_unfit bigint not null,
    faults jsonb not null,
    registered_at timestamptz not null default now(),
    constraint ingest_file_pkey primary key (id),
    constraint ingest_file_version_key unique (dataset, path, etag, size_bytes),
    constraint ingest_file_status_check check (status in ('taken', 'rejected', 'superseded'))
);

create index ingest_file_run_index on ingest_file (run_id);

-- Parts of a file that are loaded by themselves.
create table ingest_chunk (
    file_id bigint not null,
    number integer not null,
    start_byte bigint not null,
    end_byte bigint not null,
    first_line bigint not null,
    rows_found bigint not null,
    status text not null default 'waiting',
    -- Who loads it.
    run_id uuid,
    rows_loaded bigint not null default 0,
    rows_changed bigint not null default 0,
    rows_skipped bigint not null default 0,
    reason text,
    ended_at timestamptz,
    constraint ingest_chunk_pkey primary key (file_id, number),
    constraint ingest_chunk_file_fkey foreign key (file_id) references ingest_file (id) on delete cascade,
    constraint ingest_chunk_status_check check (status in ('waiting', 'loaded', 'superseded', 'failed')),
    constraint ingest_chunk_bytes_check check (0 <= start_byte and start_byte < end_byte)
);

-- Rows that did not fit, with what is wrong with them.
create table ingest_skipped_row (
    file_id bigint not null,
    line bigint not null,
    column_name text,
    code text not null,
    detail text not null,
    -- The beginning of it.
    content text not null,
    constraint ingest_skipped_row_pkey primary key (file_id, line),
    constraint ingest_skipped_row_file_fkey foreign key (file_id) references ingest_file (id) on delete cascade
);

-- Counts the commits that changed a dataset, so that what was read before can be told from what was read after.
create table dataset_version (
    dataset text not null,
    version bigint not null,
    constraint dataset_version_pkey primary key (dataset)
);
