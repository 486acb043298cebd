-- When each flow with a schedule starts next. One process serves a time: it moves the row on from that very time.

create table flow_schedule (
    flow text not null,
    line text not null,
    next_at timestamptz not null,
    constraint flow_schedule_pkey primary key (flow)
);
