//! A task of Proxmox VE: its id, and what its log says of how far it is. The API has no percent of its own.

/// `UPID:node:pid:pstart:starttime:type:id:user:`, numbers in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upid<'a> {
    pub node: &'a str,
    pub started_s: i64,
    pub kind: &'a str,
    pub vmid: Option<u32>,
}

impl<'a> Upid<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["UPID", node, _pid, _pstart, started, kind, id, _user, ..] if !node.is_empty() => Some(Self {
                node,
                started_s: i64::from_str_radix(started, 16).ok()?,
                kind,
                vmid: id.parse().ok(),
            }),
            _ => None,
        }
    }
}

/// How far a task is by its log. Disks come one after another and each counts from 0 to 100: with several, known by
/// the machine's configuration, each is its share of the whole.
pub(super) fn percent<'a>(lines: impl Iterator<Item = &'a str>, disks: usize) -> Option<u8> {
    let (mut done, mut current) = (0_usize, None::<f64>);
    for line in lines {
        let Some(now) = of_line(line) else { continue };
        // Back at the beginning: another disk.
        if current.is_some_and(|last| now < last) {
            done += 1;
        }
        current = Some(now);
    }
    let disks = disks.max(done + 1) as f64;
    current.map(|current| ((done as f64 * 100.0 + current) / disks).clamp(0.0, 100.0) as u8)
}

/// `transferred 1.0 GiB of 8.0 GiB (12.50%)`, `drive-scsi0: transferred …`, or of old `progression: 12 %`.
fn of_line(line: &str) -> Option<f64> {
    if let Some((_, rest)) = line.split_once("transferred ") {
        let (_, share) = rest.rsplit_once('(').filter(|(before, _)| before.contains(" of "))?;
        return share.split_once('%')?.0.trim().parse().ok();
    }
    let (_, rest) = line.split_once("progression: ")?;
    rest.split_once('%').map_or(rest, |(share, _)| share).trim().parse().ok()
}

/// What its log warns of.
pub(super) fn warnings<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let warns = |line: &&str| line.starts_with("WARN") || line.starts_with("warning");
    lines.filter(warns).map(|line| line.chars().take(500).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_where_when_what_and_about_which_machine() {
        let upid = Upid::parse("UPID:pve1:000F4B2C:02C5A3D1:65A1B2C3:qmclone:9000:root@pam!ci:").unwrap();
        assert_eq!((upid.node, upid.kind, upid.vmid), ("pve1", "qmclone", Some(9000)));
        assert_eq!(upid.started_s, 0x65A1_B2C3);
        assert_eq!(Upid::parse("UPID:pve1:0:0:0:vzdump::root@pam:").unwrap().vmid, None);
        for text in ["", "UPID:", "UPID:pve1:0:0:zz:qmclone:1:root@pam:", "x"] {
            assert_eq!(Upid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn percent_is_that_of_the_last_line_and_disks_follow_one_another() {
        let log = |lines: &[&str], disks| percent(lines.iter().copied(), disks);
        assert_eq!(log(&["create full clone of drive scsi0 (local-lvm:base-9000-disk-0)"], 1), None);
        assert_eq!(
            log(&["transferred 0.0 B of 8.0 GiB (0.00%)", "transferred 3.3 GiB of 8.0 GiB (41.25%)"], 1),
            Some(41)
        );
        assert_eq!(log(&["drive-scsi0: transferred 2.0 GiB of 8.0 GiB (25.00%) in 4s"], 1), Some(25));
        assert_eq!(log(&["progression: 12 %"], 1), Some(12));
        let two = ["transferred 8.0 GiB of 8.0 GiB (100.00%)", "transferred 1.0 GiB of 4.0 GiB (25.00%)"];
        assert_eq!(log(&two, 2), Some(62));
        assert_eq!(log(&two, 1), Some(62), "the log knows better");
        assert_eq!(log(&["transferred nothing (99%)", "transferred 1 of 2 (x%)", "(7%)"], 1), None);
        let warned = ["WARN: no efidisk", "fine", "TASK WARNINGS: 1"];
        assert_eq!(warnings(warned.into_iter()), ["WARN: no efidisk"]);
    }
}
