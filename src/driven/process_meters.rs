//! What the system says of this process, under the names that all of Prometheus' clients use.

use std::fs;

use async_trait::async_trait;
use flow_domain::meters::{Family, Meters, Reading};
use rustix::param::{clock_ticks_per_second, page_size};

/// Nothing where there is no `/proc`.
pub struct ProcessMeters;

#[async_trait]
impl Meters for ProcessMeters {
    async fn read(&self) -> Vec<Family> {
        let gauge = |name, help, value: Option<f64>| {
            value.map(|value| Family::of_one(name, help, Reading::Gauge(value)))
        };
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // After the name, which may hold anything; proc(5) counts from 1 and the first here is its third.
        let stat: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |number: usize| stat.get(number - 3)?.parse::<f64>().ok();
        let ticks = clock_ticks_per_second() as f64;
        let cpu = field(14).zip(field(15)).map(|(user, system)| {
            let seconds = Reading::Counter((user + system) / ticks);
            Family::of_one("process_cpu_seconds", "Time on processors", seconds)
        });
        let started = field(22).zip(boot_time()).map(|(start, boot)| boot + start / ticks);
        let files = fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as f64);
        let memory = field(24).map(|pages| pages * page_size() as f64);
        [
            cpu,
            gauge("process_start_time_seconds", "When it was started, in Unix time", started),
            gauge("process_resident_memory_bytes", "Memory in use", memory),
            gauge("process_open_fds", "Open files and sockets", files),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// In Unix time.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_process_has_a_past_and_some_memory() {
        let families = ProcessMeters.read().await;
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name == name).unwrap();
            match family.samples[0].reading {
                Reading::Gauge(value) | Reading::Counter(value) => value,
                _ => panic!("{name} is no number"),
            }
        };
        let now = jiff::Timestamp::now().as_second() as f64;
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "{age}");
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_cpu_seconds") >= 0.0);
    }
}
