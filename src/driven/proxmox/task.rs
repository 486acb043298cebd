//! The id of a task of Proxmox VE.

/// `UPID:node:pid:pstart:starttime:type:id:user:`, numbers in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upid<'a> {
    pub node: &'a str,
    pub started_s: i64,
    pub kind: &'a str,
    /// Of a clone, that of the machine it is made from.
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
}
