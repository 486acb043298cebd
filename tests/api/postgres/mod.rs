//! What only PostgreSQL's adapters do: migrations, the pool, refusals of the server, secrets at rest.

mod migrate;
mod pool;
mod refusals;
mod retention;
mod revival;
mod secrets;
mod tls;
