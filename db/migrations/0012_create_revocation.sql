-- Tokens ended before their time, for every replica to read; a row matters until the tokens would have ended anyway.
create table revocation (
    id bigint generated always as identity,
    kind text not null,
    -- The token's jti, the login's id or the user's id.
    subject text not null,
    -- Of a user: tokens from before it are ended.
    generation bigint,
    until timestamptz not null,
    -- A reader asks for what came after its snapshot; an ascending id would hide a row that commits late.
    written_by xid8 not null default pg_current_xact_id(),
    constraint revocation_pkey primary key (id),
    constraint revocation_kind_check check (kind in ('token', 'login', 'user')),
    constraint revocation_generation_check check ((kind = 'user') = (generation is not null))
);
create index revocation_written_by_idx on revocation (written_by);
create index revocation_until_idx on revocation (until);
