//! What a task's log says: how far it is, what it warns of, and which machine it makes. The API has no percent of its
//! own.

/// Warnings that are kept of one task.
const MOST_WARNINGS: usize = 20;
/// Letters of a text that is told on.
const MOST_LETTERS: usize = 300;

/// What was read of a log so far.
#[derive(Debug, Default)]
pub(super) struct TaskLog {
    /// Lines; the next page begins here.
    pub read: usize,
    /// Disks in the order they came, by their names where lines tell them, each with how far it is.
    disks: Vec<(Option<String>, f64)>,
    /// Each once.
    pub warnings: Vec<String>,
    /// Ids of machines whose disks or files the lines name.
    named: Vec<u32>,
}

impl TaskLog {
    pub fn take(&mut self, lines: &[String]) {
        self.read += lines.len();
        lines.iter().for_each(|line| self.line(line));
    }

    fn line(&mut self, line: &str) {
        if let Some((_, rest)) = line.split_once("create full clone of ") {
            // `drive scsi0 (local-lvm:base-9000-disk-0)`: the next one begins.
            self.begin(rest.split_whitespace().nth(1));
        }
        if let Some(percent) = percent_of(line) {
            let named = line.split_once(": transferred ").and_then(|(drive, _)| drive.split_once('-'));
            self.advance(named.map(|(_, drive)| drive), percent);
            return;
        }
        let warns = ["WARN", "warning", "Warning"].iter().any(|word| line.starts_with(word));
        if warns && self.warnings.len() < MOST_WARNINGS {
            let warning = plain(line);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        for vmid in machines_of(line) {
            if !self.named.contains(&vmid) && self.named.len() < 8 {
                self.named.push(vmid);
            }
        }
    }

    fn begin(&mut self, drive: Option<&str>) {
        if drive.is_none() || self.disks.iter().all(|(name, _)| name.as_deref() != drive) {
            self.disks.push((drive.map(str::to_owned), 0.0));
        }
    }

    fn advance(&mut self, drive: Option<&str>, percent: f64) {
        let known =
            drive.and_then(|drive| self.disks.iter().position(|(name, _)| name.as_deref() == Some(drive)));
        match (known, drive, self.disks.last_mut()) {
            (Some(at), ..) => self.disks[at].1 = percent,
            (None, Some(drive), _) => self.disks.push((Some(drive.to_owned()), percent)),
            // Back at the beginning: another disk.
            (None, None, Some((None, last))) if percent < *last => self.disks.push((None, percent)),
            (None, None, Some((_, last))) => *last = percent,
            (None, None, None) => self.disks.push((None, percent)),
        }
    }

    /// Of all of it. Disks come one after another, and each counts from 0 to 100: with several, known by the machine's
    /// configuration, each is its share of the whole.
    pub fn percent(&self, disks: usize) -> Option<u8> {
        let all = disks.max(self.disks.len()) as f64;
        let done: f64 = self.disks.iter().map(|(_, percent)| percent.clamp(0.0, 100.0)).sum();
        (!self.disks.is_empty()).then_some((done / all) as u8)
    }

    /// The machine that a clone makes: the one that is named and is not the one it is made from.
    pub fn makes(&self, source: Option<u32>) -> Option<u32> {
        self.named.iter().copied().find(|vmid| Some(*vmid) != source)
    }
}

/// `transferred 1.0 GiB of 8.0 GiB (12.50%)`, `drive-scsi0: transferred …`, of old `… progression: 12 %`; of a restore
/// `progress 12% (read …`; of a copy of files `  1,238,099  45%  1.2MB/s  0:00:12`.
fn percent_of(line: &str) -> Option<f64> {
    if let Some((_, rest)) = line.split_once("transferred ") {
        let (_, share) = rest.rsplit_once('(').filter(|(before, _)| before.contains(" of "))?;
        return share.split_once('%')?.0.trim().parse().ok();
    }
    for word in ["progression: ", "progress "] {
        if let Some((_, rest)) = line.split_once(word) {
            return rest.split_once('%')?.0.trim().parse().ok();
        }
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [bytes, share, rate, ..] if rate.ends_with("B/s") => {
            let number = bytes.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
            share.strip_suffix('%').filter(|_| number)?.parse().ok()
        }
        _ => None,
    }
}

/// Ids in names of volumes and files, `vm-701-disk-0`, `subvol-701-disk-0`, `images/701/`; and in words, `with ID 701`,
/// `unable to create VM 701`.
fn machines_of(line: &str) -> impl Iterator<Item = u32> {
    ["vm-", "subvol-", "images/", " with ID ", "VM ", "CT "].into_iter().flat_map(move |before| {
        line.split(before).skip(1).filter_map(move |rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
    })
}

/// One short line without anything that moves a terminal.
pub(super) fn plain(text: &str) -> String {
    let visible = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    visible.take(MOST_LETTERS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> TaskLog {
        let mut log = TaskLog::default();
        log.take(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        log
    }

    #[test]
    fn percent_is_that_of_the_last_line_of_each_format() {
        for (line, percent) in [
            ("transferred 3.3 GiB of 8.0 GiB (41.25%)", 41),
            ("drive-scsi0: transferred 2.0 GiB of 8.0 GiB (25.00%) in 4s", 25),
            ("mirror-virtio1: transferred 8.0 GiB of 8.0 GiB (100.00%) in 9s, ready", 100),
            (
                "drive-scsi0: transferred: 343 bytes remaining: 3093 bytes total: 3436 bytes progression: 10.01 %",
                10,
            ),
            ("progress 5% (read 214761472 bytes, duration 1 sec)", 5),
            ("      1,238,099  45%    1.20MB/s    0:00:12", 45),
        ] {
            assert_eq!(log(&[line]).percent(1), Some(percent), "{line}");
        }
        for line in ["transferred nothing (99%)", "transferred 1 of 2 (x%)", "(7%)", "disk 50% x", ""] {
            assert_eq!(log(&[line]).percent(1), None, "{line}");
        }
    }

    #[test]
    fn disks_follow_one_another_or_go_side_by_side() {
        let two = ["transferred 8.0 GiB of 8.0 GiB (100.00%)", "transferred 1.0 GiB of 4.0 GiB (25.00%)"];
        assert_eq!(log(&two).percent(2), Some(62));
        assert_eq!(log(&two).percent(1), Some(62), "the log knows better");
        let named = [
            "create full clone of drive scsi0 (local-lvm:base-9000-disk-0)",
            "transferred 8.0 GiB of 8.0 GiB (100.00%)",
            "create full clone of drive scsi1 (local-lvm:base-9000-disk-1)",
        ];
        assert_eq!(log(&named).percent(4), Some(25));
        let mirrored = [
            "create full clone of drive scsi0 (local-lvm:vm-9000-disk-0)",
            "drive-scsi0: transferred 8.0 GiB of 8.0 GiB (100.00%) in 4s, ready",
            "drive-scsi1: transferred 1.0 GiB of 8.0 GiB (10.00%) in 1s",
            "drive-scsi0: transferred 8.0 GiB of 8.0 GiB (100.00%) in 5s, ready",
            "drive-scsi1: transferred 1.0 GiB of 8.0 GiB (20.00%) in 2s",
        ];
        assert_eq!(log(&mirrored).percent(2), Some(60));
    }

    #[test]
    fn a_clone_names_the_machine_it_makes_or_does_not() {
        let makes = |line: &str| log(&[line]).makes(Some(9000));
        for line in [
            "  Logical volume \"vm-701-disk-0\" created.",
            "Formatting '/var/lib/vz/images/701/vm-701-disk-0.qcow2', fmt=qcow2",
            "creating a clone of VM 9000 with ID 701",
            "TASK ERROR: unable to create VM 701 - storage 'x' full",
        ] {
            assert_eq!(makes(line), Some(701), "{line}");
        }
        assert_eq!(makes("create full clone of drive scsi0 (local-zfs:vm-9000-disk-0)"), None);
        assert_eq!(makes("transferred 701 MiB of 8.0 GiB (8.50%)"), None);
    }

    #[test]
    fn warnings_are_told_once_and_plainly() {
        let long = format!("WARN: {}", "x".repeat(999));
        let log = log(&["WARN: a\u{1b}[31m", "fine", "WARN: a\u{1b}[31m", "TASK WARNINGS: 1", &long]);
        assert_eq!(log.warnings[0], "WARN: a [31m");
        assert_eq!((log.warnings.len(), log.warnings[1].len(), log.read), (2, MOST_LETTERS, 5));
    }
}
