-- Rooms have a row each while they have messages. Updating it is what puts the messages of a room in one order: the
-- next number is given out only when the message before it is committed, so that who sees a number sees all below it.
create table room (
    name text collate "C" not null,
    head bigint not null,
    constraint room_pkey primary key (name),
    constraint room_head_check check (head >= 1)
);

-- The author has no foreign key: users without an account have no row.
create table room_message (
    room text collate "C" not null,
    id bigint not null,
    author_id uuid not null,
    author_name text not null,
    author_kind text not null,
    body text not null,
    posted_at timestamptz not null default clock_timestamp(),
    constraint room_message_pkey primary key (room, id),
    constraint room_message_room_fkey foreign key (room) references room (name) on delete cascade,
    constraint room_message_author_kind_check check (author_kind in ('anonymous', 'temporary', 'registered'))
);

-- Who wished that their streams of a room end, for processes that missed the notification.
create table room_leave (
    number bigint generated always as identity,
    room text collate "C" not null,
    user_id uuid not null,
    left_at timestamptz not null default now(),
    constraint room_leave_pkey primary key (number)
);

-- Who reads by which process. Nobody reads by a process that has not been seen for a while. What a crash of the
-- server loses here, the processes tell again.
create unlogged table room_process (
    id uuid not null,
    seen_at timestamptz not null default now(),
    constraint room_process_pkey primary key (id)
);

create unlogged table room_reader (
    process_id uuid not null,
    room text collate "C" not null,
    user_id uuid not null,
    name text not null,
    kind text not null,
    constraint room_reader_pkey primary key (room, process_id, user_id),
    constraint room_reader_process_fkey foreign key (process_id) references room_process (id) on delete cascade
);

create index room_reader_process_index on room_reader (process_id);
