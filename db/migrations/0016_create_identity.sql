-- Whom a provider vouches for. The user's id is made from issuer and subject; this says it the other way round.
create table identity (
    issuer text not null,
    subject text not null,
    user_id uuid not null,
    created_at timestamptz not null default now(),
    constraint identity_pkey primary key (issuer, subject),
    constraint identity_user_key unique (user_id),
    constraint identity_user_fkey foreign key (user_id) references app_user (id)
);

-- What a provider gave us to act for a user, encrypted by the service with the user's id bound in.
create table oauth_token (
    user_id uuid not null,
    -- Which key it was encrypted with.
    key_id text not null,
    nonce bytea not null,
    ciphertext bytea not null,
    kept_at timestamptz not null default now(),
    constraint oauth_token_pkey primary key (user_id),
    constraint oauth_token_user_fkey foreign key (user_id) references app_user (id),
    constraint oauth_token_nonce_check check (octet_length(nonce) = 24)
);

-- Who signed in when, how and from where. A user of a visit may have no row of their own, so there is no foreign key.
create table sign_in (
    id bigint generated always as identity,
    user_id uuid not null,
    door text not null,
    address inet,
    agent text,
    at timestamptz not null default now(),
    constraint sign_in_pkey primary key (id)
);

create index sign_in_user_index on sign_in (user_id, at);
create index sign_in_at_index on sign_in (at);
