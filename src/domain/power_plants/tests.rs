use std::sync::atomic::AtomicUsize;

use tokio::sync::Notify;

use super::*;
use crate::testing::MemoryCache;

/// Counts who asks it, and answers when it is let.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    go: Notify,
    version: AtomicI64,
}

#[async_trait]
impl PowerPlants for Slow {
    async fn top(&self, _: &TopQuery) -> Result<(Vec<Plant>, u64)> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.go.notified().await;
        Ok((vec![], 7))
    }

    async fn states(&self) -> Result<Vec<String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(vec!["WY".into(), "AL".into(), "ZZ".into()])
    }
}

#[async_trait]
impl DatasetVersions for Slow {
    async fn version(&self, _: &str) -> Result<i64> {
        Ok(self.version.load(Ordering::SeqCst))
    }

    async fn changed(&self) {
        std::future::pending().await
    }
}

/// Away.
struct NoCache;

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>> {
        Err(Error::unavailable("cache.unavailable", "The cache is away."))
    }

    async fn put(&self, _: &str, _: Vec<u8>, _: Duration) -> Result<()> {
        std::future::pending().await
    }

    async fn remove(&self, _: &str) -> Result<()> {
        std::future::pending().await
    }
}

fn desk(store: &Arc<Slow>, cache: Arc<dyn Cache>) -> Arc<PlantDesk> {
    Arc::new(PlantDesk::new(store.clone(), store.clone(), cache))
}

fn query() -> TopQuery {
    TopQuery { limit: 10, page: 1, state: None, year: None }
}

#[tokio::test]
async fn those_who_miss_together_ask_the_store_once() {
    let store = Arc::new(Slow::default());
    let desk = desk(&store, Arc::new(MemoryCache::default()));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.top(query()).await })
        })
        .collect();
    while store.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // One of those who wait hangs up: the others are answered all the same.
    callers[0].abort();
    store.go.notify_one();
    for caller in callers.into_iter().skip(1) {
        assert_eq!(caller.await.unwrap().unwrap().from, From::Store);
    }
    assert_eq!(desk.top(query()).await.unwrap().from, From::Cache);
    assert_eq!(store.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn another_version_is_another_answer() {
    let store = Arc::new(Slow::default());
    let desk = desk(&store, Arc::new(MemoryCache::default()));
    for (version, from) in [(0, From::Store), (0, From::Cache), (1, From::Store), (1, From::Cache)] {
        store.version.store(version, Ordering::SeqCst);
        assert_eq!(desk.states().await.unwrap().from, from, "{version}");
    }
}

#[tokio::test]
async fn without_the_cache_the_store_answers_each_time() {
    let store = Arc::new(Slow::default());
    let desk = desk(&store, Arc::new(NoCache));
    let (one, other) = (desk.states().await.unwrap(), desk.states().await.unwrap());
    assert_eq!((one.from, &one), (From::Store, &other));
    assert_eq!(store.asked.load(Ordering::SeqCst), 2);
    let text = String::from_utf8(one.body).unwrap();
    let (alabama, unknown) = (r#"{"code":"AL","name":"Alabama"}"#, r#"{"code":"ZZ","name":"ZZ"}"#);
    assert!(
        text.starts_with(&format!("{{\"states\":[{alabama}")) && text.ends_with(&format!("{unknown}]}}"))
    );
}
