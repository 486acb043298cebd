//! How long labs took.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::labs::{LabTimes, LabVersion, ObjectTime, Pace, Work};
use tokio_postgres::Row;

use super::pool::{PgPool, column};

/// Of a lab's version the newest fifty are kept: machines change, and with them how long things take.
const ADD: &str = "
    with added as (
        insert into lab_time (lab, lab_version, work, took_ms)
        values ($1::text, $2::text, $3::text, $4::bigint)
        returning number
    ), objects as (
        insert into lab_object_time (time_number, position, address, kind, action, took_ms)
        select added.number, object.position, object.address, object.kind, object.action, object.took_ms
        from added, unnest($5::text[], $6::text[], $7::text[], $8::bigint[]) with ordinality
            as object (address, kind, action, took_ms, position)
    )
    delete from lab_time where number in (
        select number from lab_time
        where lab = $1::text and lab_version = $2::text and work = $3::text
        order by number desc offset 49
    )";
const TOTALS: &str = "
    select count(*) as runs, percentile_disc(array[0.5, 0.95]) within group (order by took_ms) as shares
    from lab_time where lab = $1::text and lab_version = $2::text and work = $3::text";
/// Rows of an address and, without one, of a whole type.
const MEDIANS: &str = "
    select object.action, object.address, object.kind, percentile_disc(0.5) within group (order by object.took_ms) as median
    from lab_object_time as object
    join lab_time as run on run.number = object.time_number
    where run.lab = $1::text and run.lab_version = $2::text and run.work = $3::text
    group by grouping sets ((object.action, object.address), (object.action, object.kind))";

#[derive(Clone)]
pub struct PgLabTimes {
    pool: PgPool,
}

impl PgLabTimes {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl LabTimes for PgLabTimes {
    async fn add(&self, of: &LabVersion, work: Work, took: Duration, objects: &[ObjectTime]) -> Result<()> {
        let texts = |text: fn(&ObjectTime) -> &str| objects.iter().map(text).collect::<Vec<_>>();
        let times: Vec<i64> = objects.iter().map(|object| ms(object.took)).collect();
        self.pool
            .query(
                ADD,
                &[
                    &of.lab,
                    &of.version,
                    &work.as_str(),
                    &ms(took),
                    &texts(|object| &object.address),
                    &texts(|object| &object.kind),
                    &texts(|object| &object.action),
                    &times,
                ],
            )
            .await?;
        Ok(())
    }

    async fn pace(&self, of: &LabVersion, work: Work) -> Result<Pace> {
        let mut pace = Pace::default();
        if let Some(row) = self.pool.query_opt(TOTALS, &[&of.lab, &of.version, &work.as_str()]).await? {
            pace.runs = u32::try_from(column::<i64>(&row, "runs")?).unwrap_or(u32::MAX);
            if let Some([half, nearly_all]) = column::<Option<Vec<i64>>>(&row, "shares")?.as_deref() {
                (pace.half, pace.nearly_all) = (duration(*half), duration(*nearly_all));
            }
        }
        for row in self.pool.query(MEDIANS, &[&of.lab, &of.version, &work.as_str()]).await? {
            median(&row, &mut pace)?;
        }
        Ok(pace)
    }
}

fn median(row: &Row, pace: &mut Pace) -> Result<()> {
    let (action, took) = (column::<String>(row, "action")?, duration(column(row, "median")?));
    let put = |map: &mut BTreeMap<_, _>, what| map.insert((action, what), took);
    match (column::<Option<String>>(row, "address")?, column::<Option<String>>(row, "kind")?) {
        (Some(address), _) => put(&mut pace.objects, address),
        (None, Some(kind)) => put(&mut pace.kinds, kind),
        (None, None) => None,
    };
    Ok(())
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}
