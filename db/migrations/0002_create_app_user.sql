-- Accounts. Temporary users live in their tokens alone and have no row here.
create table app_user (
    id uuid not null,
    email text,
    -- The address as it is compared: folded by the service, because lower() depends on the cluster's locale.
    email_key text,
    username text,
    name text,
    role text not null,
    -- bcrypt; none for accounts that sign in elsewhere.
    password_hash text,
    disabled boolean not null default false,
    created_at timestamptz not null default now(),
    constraint app_user_pkey primary key (id),
    constraint app_user_email_key unique (email_key),
    constraint app_user_username_key unique (username),
    constraint app_user_email_check check ((email is null) = (email_key is null)),
    constraint app_user_role_check check (role in ('anonymous', 'learner', 'operator', 'admin'))
);
