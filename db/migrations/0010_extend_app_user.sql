-- Temporary users have a row after all: a name is then one person's by one constraint, whoever else has it for good.
alter table app_user
    -- The name as it is compared, without case; ASCII only, so lower() is the same everywhere.
    add column username_key text,
    -- Counts up whenever the account's tokens are ended.
    add column generation bigint not null default 0,
    -- When a temporary user's name is free again; none for accounts that stay.
    add column expires_at timestamptz;

update app_user set username_key = lower(username);

alter table app_user
    drop constraint app_user_username_key,
    add constraint app_user_username_key unique (username_key),
    add constraint app_user_username_check check ((username is null) = (username_key is null)),
    add constraint app_user_generation_check check (generation >= 0),
    add constraint app_user_temporary_check check (expires_at is null or role = 'anonymous');

create index app_user_expires_at_idx on app_user (expires_at) where expires_at is not null;
