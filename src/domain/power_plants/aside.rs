//! Cache-aside: look there first, make what is missing once, put it there; without the cache it is made each time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::cache::Cache;
use crate::{Error, Result};

/// A cache that takes longer spares nobody anything.
const PATIENCE: Duration = Duration::from_millis(250);
/// After it failed it is left alone for so long.
const REST: Duration = Duration::from_secs(1);

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Cache,
    Store,
}

#[derive(Clone, Debug)]
pub struct Found {
    pub bytes: Arc<Vec<u8>>,
    pub from: From,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Vec<u8>>>>>;

pub struct Aside {
    cache: Arc<dyn Cache>,
    ttl: Duration,
    shared: Arc<Air>,
}

#[derive(Default)]
struct Air {
    /// What is being made, by key.
    flights: Mutex<HashMap<String, Flight>>,
    /// The cache is left alone until then.
    rests_until: Mutex<Option<Instant>>,
}

impl Aside {
    pub fn new(cache: Arc<dyn Cache>, ttl: Duration) -> Self {
        Self { cache, ttl, shared: Arc::default() }
    }

    /// Those who miss one key together share one `make`, which goes on when they hang up. A failure is not kept.
    pub async fn get(
        &self,
        key: String,
        make: impl Future<Output = Result<Vec<u8>>> + Send + 'static,
    ) -> Result<Found> {
        if let Some(bytes) = self.shared.ask(self.cache.get(&key)).await.flatten() {
            return Ok(Found { bytes: Arc::new(bytes), from: From::Cache });
        }
        let flight = {
            let mut flights = held(&self.shared.flights);
            match flights.get(&key) {
                Some(flight) => flight.clone(),
                None => {
                    let flight = self.begin(key.clone(), make);
                    flights.insert(key, flight.clone());
                    flight
                }
            }
        };
        flight.await.map(|bytes| Found { bytes, from: From::Store })
    }

    fn begin(&self, key: String, make: impl Future<Output = Result<Vec<u8>>> + Send + 'static) -> Flight {
        let (cache, air, ttl) = (self.cache.clone(), self.shared.clone(), self.ttl);
        let made = tokio::spawn(async move {
            let landed = Landing { air: air.clone(), key: key.clone() };
            let made = make.await.map(Arc::new);
            if let Ok(bytes) = &made {
                air.ask(cache.put(&key, bytes.to_vec(), ttl)).await;
            }
            // After it is in the cache, so that nobody makes it between the two.
            drop(landed);
            made
        });
        made.map(|ended| ended.unwrap_or_else(|error| Err(Error::internal(error)))).boxed().shared()
    }
}

/// Takes the flight off the list, whether it arrived or crashed.
struct Landing {
    air: Arc<Air>,
    key: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        held(&self.air.flights).remove(&self.key);
    }
}

impl Air {
    /// None when the cache fails, takes too long, or rests after one of the two.
    async fn ask<T>(&self, call: impl Future<Output = Result<T>>) -> Option<T> {
        if held(&self.rests_until).is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let failed = match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        log::debug!("the cache is passed by for {} s: {failed}", REST.as_secs());
        *held(&self.rests_until) = Some(Instant::now() + REST);
        None
    }
}

/// Nothing that holds one of these can panic.
fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
