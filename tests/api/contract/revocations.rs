use std::sync::Arc;
use std::time::Duration;

use flow_domain::users::{Revocation, RevocationStore, Revoked};
use flow_domain::{FamilyId, UserId};
use flow_manager::driven::memory::MemoryRevocations;
use flow_manager::driven::postgres::PgRevocations;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::harness::TestDb;

/// Far more than it ever takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn memory_keeps_the_contract() {
    let store = Arc::new(MemoryRevocations::default());
    suite(store.clone(), store).await;
}

/// Two replicas, as far as the database can tell.
#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    let replica = || Arc::new(PgRevocations::new(db.pool.clone(), db.config.clone()));
    suite(replica(), replica()).await;
}

async fn suite(here: Arc<dyn RevocationStore>, there: Arc<dyn RevocationStore>) {
    what_is_recorded_is_read_once_or_more_and_never_missed(&*here, &*there).await;
    what_has_outlived_its_tokens_is_forgotten(&*here, &*there).await;
    who_waits_is_told(here, there).await;
}

fn revoked(what: Revocation, seconds: i64) -> Revoked {
    let until = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    Revoked { what, until: until.round(jiff::Unit::Microsecond).unwrap() }
}

async fn what_is_recorded_is_read_once_or_more_and_never_missed(
    here: &dyn RevocationStore,
    there: &dyn RevocationStore,
) {
    let (nothing, mut mark) = there.read(None).await.unwrap();
    assert_eq!(nothing, []);
    let user = UserId::new();
    let all = [
        Revocation::Token("a jti, 'quoted'".into()),
        Revocation::Family(FamilyId::new()),
        Revocation::User { id: user, generation: 1 },
        Revocation::User { id: user, generation: 2 },
    ]
    .map(|what| revoked(what, 600));
    for one in &all {
        here.record(one).await.unwrap();
        let (new, next) = there.read(Some(&mark)).await.unwrap();
        assert!(new.contains(one), "{one:?} not in {new:?}");
        mark = next;
    }
    let (everything, _) = there.read(None).await.unwrap();
    assert!(all.iter().all(|one| everything.contains(one)));
}

async fn what_has_outlived_its_tokens_is_forgotten(here: &dyn RevocationStore, there: &dyn RevocationStore) {
    let before = there.read(None).await.unwrap().0.len();
    here.record(&revoked(Revocation::Token("over".into()), -1)).await.unwrap();
    assert_eq!(here.forget().await.unwrap(), 1);
    assert_eq!(here.forget().await.unwrap(), 0);
    assert_eq!(there.read(None).await.unwrap().0.len(), before);
}

async fn who_waits_is_told(here: Arc<dyn RevocationStore>, there: Arc<dyn RevocationStore>) {
    let one = revoked(Revocation::Family(FamilyId::new()), 600);
    let waiting = {
        let (there, one) = (there.clone(), one.clone());
        tokio::spawn(async move {
            while !there.read(None).await.unwrap().0.contains(&one) {
                there.changed().await;
            }
        })
    };
    // Told again and again until the waiting one listens: who begins to wait late is told by the next.
    while !waiting.is_finished() {
        here.record(&one).await.unwrap();
        tokio::task::yield_now().await;
    }
    timeout(PATIENCE, waiting).await.unwrap().unwrap();
}
