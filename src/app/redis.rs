//! Redis, if there is one, and what does its work if there is none.

use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::cache::Cache;
use flow_domain::health::{Condition, Probe};
use flow_domain::rooms::Wire;

use crate::config::Config;
use crate::driven::cache::MokaCache;
use crate::driven::redis::{RedisCache, RedisLink, RedisWire};

#[derive(Clone)]
pub(super) struct Redis(Option<Arc<RedisLink>>);

impl Redis {
    /// Begins to connect, where there is something to connect to.
    pub(super) fn open(config: &Config) -> Result<Self, String> {
        let link = config.cache.url.as_ref().map(|url| RedisLink::open(url.expose())).transpose()?;
        Ok(Self(link.map(Arc::new)))
    }

    pub(super) fn cache(&self) -> Arc<dyn Cache> {
        match &self.0 {
            Some(link) => Arc::new(RedisCache::new(link.clone())),
            None => Arc::new(MokaCache::default()),
        }
    }

    /// Between replicas; without one the database carries what there is to tell.
    pub(super) fn wire(&self) -> Option<Arc<dyn Wire>> {
        let wire = |link: &Arc<RedisLink>| -> Arc<dyn Wire> { Arc::new(RedisWire::new(link.clone())) };
        self.0.as_ref().map(wire)
    }
}

/// The service answers without it, slower.
#[async_trait]
impl Probe for Redis {
    fn component(&self) -> &'static str {
        "cache"
    }

    async fn check(&self) -> Condition {
        match self.0.as_ref().and_then(|link| link.trouble()) {
            Some(trouble) => Condition::degraded(trouble),
            None => Condition::healthy(),
        }
    }
}
