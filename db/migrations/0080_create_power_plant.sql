-- Tables that files are ingested into, and nothing else. Each has, besides its columns, the file and the line that
-- its row came from: the later line of the later file wins.
create schema ingested;

create table ingested.power_plant (
    plant_id bigint not null,
    year integer not null,
    plant_name text not null,
    state text not null,
    primary_fuel text,
    capacity_mw double precision,
    -- In that year; negative for a plant that draws more than it feeds.
    net_generation_mwh double precision,
    ingest_file bigint not null,
    ingest_line bigint not null,
    constraint power_plant_pkey primary key (plant_id, year),
    constraint power_plant_state_check check (state ~ '^[A-Z]{2}$')
);

-- The order of the answers: the largest first.
create index power_plant_top_index
    on ingested.power_plant (net_generation_mwh desc nulls last, plant_id, year);
create index power_plant_state_index on ingested.power_plant (state);
