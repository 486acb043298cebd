-- Secrets that every replica must share, made once by whichever comes first.
create table signing_key (
    purpose text not null,
    secret bytea not null,
    created_at timestamptz not null default now(),
    constraint signing_key_pkey primary key (purpose),
    constraint signing_key_secret_check check (octet_length(secret) >= 32)
);
