-- Logins that can be renewed. Every refresh token ever given of a living login is known, so that an old one that
-- comes again is seen.
create table login (
    id uuid not null,
    user_id uuid not null,
    -- The account's when the login began.
    generation bigint not null,
    -- The number of the newest token, and when that number was first given.
    newest bigint not null default 0,
    newest_at timestamptz not null default now(),
    started_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at timestamptz,
    constraint login_pkey primary key (id),
    constraint login_user_fkey foreign key (user_id) references app_user (id) on delete cascade
);
create index login_user_idx on login (user_id);
create index login_expires_at_idx on login (expires_at);

create table refresh_token (
    -- SHA-256 of the token, which is nowhere kept.
    hash bytea not null,
    login_id uuid not null,
    number bigint not null,
    constraint refresh_token_pkey primary key (hash),
    constraint refresh_token_login_fkey foreign key (login_id) references login (id) on delete cascade,
    constraint refresh_token_hash_check check (octet_length(hash) = 32)
);
create index refresh_token_login_idx on refresh_token (login_id);
