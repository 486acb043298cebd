-- Secrets that sign tokens where none is configured, one after another. The newest that signs already is the one that
-- signs; the tokens of all that have not ended are taken.
create table token_key (
    id bigint generated always as identity,
    secret bytea not null,
    signs_from timestamptz not null default now(),
    ends_at timestamptz,
    constraint token_key_pkey primary key (id),
    constraint token_key_secret_check check (octet_length(secret) >= 32)
);

insert into token_key (secret, signs_from) select secret, created_at from signing_key where purpose = 'jwt';

drop table signing_key;
