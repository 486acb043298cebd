use super::*;

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + s).unwrap()
}

fn task(vmid: u32, name: Option<&str>, s: i64, kind: &str, percent: Option<u8>) -> MachineTask {
    MachineTask {
        upid: format!("UPID:pve1:0:0:{s:X}:{kind}:{vmid}:fm@pve:"),
        vmid,
        name: name.map(str::to_owned),
        kind: kind.into(),
        started_at: at(s),
        exit: None,
        percent,
        warnings: vec![],
    }
}

fn ended(task: MachineTask, exit: &str) -> MachineTask {
    MachineTask { exit: Some(exit.into()), ..task }
}

fn object(address: &str, s: i64) -> Working<'_> {
    let kind = address.split('.').next().unwrap();
    Working { address, kind, id: None, since: at(s) }
}

fn hear(refinement: &mut Refinement, tasks: Vec<MachineTask>) {
    refinement.hear(MachinesAtWork { vmids: vec![700, 701, 702], tasks });
}

/// Which object each machine was taken for, by the machine's name.
fn taken(refinement: &mut Refinement, objects: &[Working]) -> Vec<(String, String)> {
    let refined = refinement.of(objects);
    refined.into_iter().map(|(address, it)| (it.machine.unwrap_or_default(), address)).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(name, address)| ((*name).to_owned(), (*address).to_owned())).collect()
}

#[test]
fn words_name_the_machine_or_the_object_and_what_is_done_now() {
    let mut refinement = Refinement::default();
    let objects = [object("proxmox_vm.web", 0)];
    assert!(refinement.is_empty() && refinement.of(&objects).is_empty(), "nothing is known of it");
    hear(&mut refinement, vec![task(700, None, 1, "qmclone", Some(41))]);
    let refined = refinement.of(&objects).remove("proxmox_vm.web").unwrap();
    assert_eq!(refined.words("proxmox_vm.web").unwrap(), "proxmox_vm.web: cloning disk 41 %");
    assert_eq!(refined.share, Some(0.41));
    let cloned = ended(task(700, Some("web-1"), 1, "qmclone", Some(100)), "OK");
    hear(&mut refinement, vec![cloned.clone()]);
    let between = refinement.of(&objects).remove("proxmox_vm.web").unwrap();
    assert_eq!((between.words("x"), between.machine.as_deref()), (None, Some("web-1")));
    hear(&mut refinement, vec![cloned, task(700, Some("web-1"), 9, "qmstart", None)]);
    let starting = refinement.of(&objects).remove("proxmox_vm.web").unwrap();
    assert_eq!(starting.words("x").unwrap(), "web-1: starting");
    assert_eq!(starting.share, Some(1.0), "what is done stays done");
}

#[test]
fn a_task_that_starts_anew_goes_back_neither_in_words_nor_in_its_share() {
    let mut refinement = Refinement::default();
    let objects = [object("proxmox_vm.web", 0)];
    let mut seen = Vec::new();
    for percent in [Some(0), Some(80), Some(3), Some(90), None] {
        hear(&mut refinement, vec![task(700, Some("web-1"), 1, "qmclone", percent)]);
        let refined = refinement.of(&objects).remove("proxmox_vm.web").unwrap();
        seen.push((refined.doing.unwrap(), refined.share.unwrap()));
    }
    let words: Vec<&str> = seen.iter().map(|(words, _)| words.as_str()).collect();
    let wanted =
        ["cloning disk 0 %", "cloning disk 80 %", "cloning disk 80 %", "cloning disk 90 %", "cloning disk"];
    assert_eq!(words, wanted);
    assert!(seen.is_sorted_by_key(|(_, share)| *share), "{seen:?}");
    // Another disk of the same machine, moved by a task of its own.
    let cloned = ended(task(700, Some("web-1"), 1, "qmclone", Some(100)), "OK");
    hear(&mut refinement, vec![cloned, task(700, Some("web-1"), 5, "qmmove", Some(10))]);
    let moving = refinement.of(&objects).remove("proxmox_vm.web").unwrap();
    assert_eq!((moving.doing.as_deref(), moving.share), (Some("moving disk 10 %"), Some(1.0)));
}

#[test]
fn machines_are_taken_for_objects_by_id_name_place_and_else_in_order() {
    let gone = Working { id: Some("pve1/qemu/701"), ..object("proxmox_vm.a", 0) };
    let mut refinement = Refinement::default();
    hear(&mut refinement, vec![task(701, Some("by-id"), 1, "qmdestroy", None)]);
    let objects = [object("proxmox_vm.b", 0), gone];
    assert_eq!(taken(&mut refinement, &objects), pairs(&[("by-id", "proxmox_vm.a")]));

    let mut refinement = Refinement::default();
    let both =
        vec![task(701, Some("lab-db-1"), 1, "qmclone", None), task(700, Some("web-1"), 2, "qmclone", None)];
    hear(&mut refinement, both);
    let objects = [object("proxmox_vm.vm[\"web-1\"]", 0), object("module.m.proxmox_vm.db_1", 1)];
    let wanted = [("lab-db-1", "module.m.proxmox_vm.db_1"), ("web-1", "proxmox_vm.vm[\"web-1\"]")];
    assert_eq!(taken(&mut refinement, &objects), pairs(&wanted));

    let mut refinement = Refinement::default();
    let objects = [object("proxmox_vm.w[0]", 0), object("proxmox_vm.w[1]", 0)];
    hear(&mut refinement, vec![task(701, Some("web-2"), 1, "qmclone", None)]);
    assert_eq!(taken(&mut refinement, &objects), pairs(&[("web-2", "proxmox_vm.w[1]")]));

    let mut refinement = Refinement::default();
    let objects = [object("proxmox_vm.x", 5), object("proxmox_vm.y", 1)];
    let first = task(702, Some("first"), 6, "qmclone", None);
    hear(&mut refinement, vec![first.clone()]);
    assert_eq!(taken(&mut refinement, &objects), pairs(&[("first", "proxmox_vm.y")]));
    // It stays what it was taken for, and the next one gets what is left.
    hear(&mut refinement, vec![first, task(700, Some("next"), 7, "qmclone", None)]);
    let wanted = [("next", "proxmox_vm.x"), ("first", "proxmox_vm.y")];
    assert_eq!(taken(&mut refinement, &objects), pairs(&wanted));
}

#[test]
fn what_was_done_before_or_for_another_object_moves_nothing() {
    let mut refinement = Refinement::default();
    let earlier = ended(task(700, Some("web-1"), 0, "qmclone", Some(100)), "OK");
    hear(&mut refinement, vec![earlier.clone()]);
    assert!(refinement.of(&[object("proxmox_vm.web", 60)]).is_empty(), "it ended before");
    // The same machine is removed now, by an object that has its id.
    hear(&mut refinement, vec![earlier, task(700, Some("web-1"), 61, "qmdestroy", None)]);
    let gone = Working { id: Some("700"), ..object("proxmox_vm.web", 60) };
    let refined = refinement.of(&[gone]).remove("proxmox_vm.web").unwrap();
    assert_eq!((refined.words("x").unwrap().as_str(), refined.share), ("web-1: removing", None));
    // Its object has ended: it is not taken for another that runs.
    assert!(refinement.of(&[object("proxmox_vm.other", 60)]).is_empty());
}

#[test]
fn with_machines_by_their_type_nothing_else_is_taken_for_one() {
    let mut refinement = Refinement::default();
    hear(&mut refinement, vec![task(700, Some("web-1"), 1, "qmclone", None)]);
    let objects = [object("time_sleep.a", 0)];
    assert_eq!(refinement.of(&objects).len(), 1, "it may be anything");
    for (kind, machine) in [
        ("proxmox_virtual_environment_vm", true),
        ("proxmox_virtual_environment_container", true),
        ("proxmox_vm_qemu", true),
        ("proxmox_virtual_environment_file", false),
        ("time_sleep", false),
    ] {
        assert_eq!(is_machine(kind), machine, "{kind}");
    }
    let mut refinement = Refinement::default();
    refinement.plan("proxmox_virtual_environment_vm");
    hear(&mut refinement, vec![task(700, Some("web-1"), 1, "qmclone", None)]);
    assert!(refinement.of(&objects).is_empty());
}
