-- The W3C traceparent of the request that started the run, if it had one.
alter table flow_run add column trace text;
