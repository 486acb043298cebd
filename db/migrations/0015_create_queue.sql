-- Events that were stored with their fact and are not yet published. Within a key the order is that of the commits:
-- who stores an event holds a lock on its key until then.
create table outbox_event (
    seq bigint generated always as identity,
    id uuid not null,
    topic text not null,
    key text not null,
    data jsonb not null,
    happened_at timestamptz not null,
    constraint outbox_event_pkey primary key (seq),
    constraint outbox_event_id_key unique (id)
);

-- Who wants to hear what.
create table queue_subscription (
    consumer text not null,
    topic text not null,
    delivery_limit integer not null,
    constraint queue_subscription_pkey primary key (consumer, topic),
    constraint queue_subscription_limit_check check (delivery_limit >= 1)
);

create index queue_subscription_topic_index on queue_subscription (topic);

-- A consumer's copy of an event, until it is acknowledged.
create table queue_message (
    seq bigint generated always as identity,
    consumer text not null,
    event_id uuid not null,
    topic text not null,
    key text not null,
    data jsonb not null,
    happened_at timestamptz not null,
    delivery_limit integer not null,
    attempts integer not null default 0,
    -- In a consumer's hands, or given back for later, until then.
    visible_at timestamptz not null default now(),
    constraint queue_message_pkey primary key (consumer, event_id),
    constraint queue_message_attempts_check check (attempts >= 0)
);

create index queue_message_order_index on queue_message (consumer, seq);

-- What a consumer could not deal with.
create table dead_letter (
    consumer text not null,
    event_id uuid not null,
    topic text not null,
    key text not null,
    data jsonb not null,
    happened_at timestamptz not null,
    delivery_limit integer not null,
    attempts integer not null,
    reason text not null,
    died_at timestamptz not null default now(),
    constraint dead_letter_pkey primary key (consumer, event_id)
);

create index dead_letter_order_index on dead_letter (consumer, died_at);

-- Which events a consumer has dealt with, written in the transaction that did.
create table inbox_event (
    consumer text not null,
    event_id uuid not null,
    handled_at timestamptz not null default now(),
    constraint inbox_event_pkey primary key (consumer, event_id)
);

create index inbox_event_age_index on inbox_event (handled_at);
