use flow_domain::labs::Pace;
use flow_domain::labs::machines::MachineTask;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap()
}

fn object<'a>(address: &'a str, action: &'a str, ms: i64) -> Object<'a> {
    Object { address, action, id: None, at: Some(at(ms)) }
}

fn pace(runs: u32, medians: &[(&str, &str, u64)]) -> Pace {
    let medians = medians.iter().map(|(action, address, seconds)| {
        (((*action).to_owned(), (*address).to_owned()), Duration::from_secs(*seconds))
    });
    let (half, nearly_all) = (Duration::from_secs(40), Duration::from_secs(70));
    Pace { runs, half, nearly_all, objects: medians.collect(), ..Pace::default() }
}

#[test]
fn a_unit_weighs_what_it_took_before_and_counts_while_it_runs() {
    let mut bar = Bar::new(pace(1, &[("create", "vm.slow", 9), ("create", "vm.fast", 1)]));
    bar.heard(Some(at(0)));
    bar.plan("vm.slow", "vm", "create");
    bar.plan("vm.fast", "vm", "create");
    bar.begin(&object("vm.slow", "create", 0));
    bar.begin(&object("vm.fast", "create", 0));
    assert_eq!(bar.objects(at(0)).unwrap(), (10, "creating vm.fast and 1 more, 1 of 2".into()));
    bar.end(&object("vm.fast", "create", 1000), true);
    let (percent, words) = bar.objects(at(4500)).unwrap();
    assert_eq!((percent, words.as_str()), (56, "creating vm.slow, 2 of 2"));
    let (percent, _) = bar.objects(at(900_000)).unwrap();
    assert_eq!(percent, 91, "not all of a unit counts before its end");
    assert_eq!(bar.objects(at(900_001)), None, "nothing new is not told again");
    bar.end(&object("vm.slow", "create", 900_002), true);
    assert_eq!(bar.objects(at(900_002)).unwrap(), (95, "2 of 2 done".into()));
}

#[test]
fn without_earlier_runs_time_alone_is_no_progress() {
    let mut bar = Bar::new(Pace::default());
    bar.plan("a", "k", "create");
    bar.begin(&object("a", "create", 0));
    assert_eq!(bar.objects(at(0)).unwrap().0, 10);
    assert_eq!(bar.objects(at(60_000)), None);
    assert!(!bar.ticks());
}

#[test]
fn what_is_left_is_a_range_from_five_runs_on() {
    let told = |runs: u32, ms: i64| {
        let mut bar = Bar::new(pace(runs, &[("create", "a", 30)]));
        bar.heard(Some(at(0)));
        bar.plan("a", "k", "create");
        bar.begin(&object("a", "create", 0));
        bar.objects(at(ms)).unwrap().1
    };
    assert_eq!(told(4, 1000), "creating a, 1 of 1");
    assert_eq!(told(5, 1000), "creating a, 1 of 1; about 39 to 69 s left");
    assert_eq!(told(5, 50_000), "creating a, 1 of 1; up to 20 s left");
    assert_eq!(told(5, 80_000), "creating a, 1 of 1; it takes longer than usual");
}

#[test]
fn a_replaced_object_is_two_units_each_with_its_time() {
    let mut bar = Bar::new(Pace::default());
    bar.heard(Some(at(0)));
    bar.plan("a", "k", "replace");
    bar.plan("b", "k", "no-op");
    bar.begin(&object("a", "delete", 0));
    assert_eq!(bar.objects(at(0)).unwrap().1, "removing a, 1 of 2");
    bar.end(&object("a", "delete", 500), true);
    bar.begin(&object("a", "create", 600));
    assert_eq!(bar.objects(at(600)).unwrap(), (52, "creating a, 2 of 2".into()));
    bar.end(&object("a", "create", 900), false);
    bar.heard(Some(at(1000)));
    let (took, objects) = bar.times().unwrap();
    assert_eq!(took, Duration::from_secs(1));
    assert_eq!(objects.len(), 1, "what failed has no time: {objects:?}");
    assert_eq!((objects[0].action.as_str(), objects[0].took), ("delete", Duration::from_millis(500)));
}

#[test]
fn data_read_while_planning_is_no_unit() {
    let mut bar = Bar::new(Pace::default());
    bar.begin(&object("data.x.y", "read", 0));
    bar.end(&object("data.x.y", "read", 1), true);
    assert_eq!(bar.objects(at(1)), None);
    assert_eq!(bar.times(), None);
}

/// A task of machine 700, which is called web-1.
fn task(ms: i64, kind: &str, percent: Option<u8>, exit: Option<&str>) -> MachineTask {
    MachineTask {
        upid: format!("UPID:pve1:0:0:{ms:X}:{kind}:9000:fm@pve:"),
        vmid: 700,
        name: Some("web-1".into()),
        kind: kind.into(),
        started_at: at(ms),
        exit: exit.map(str::to_owned),
        percent,
        warnings: vec![],
    }
}

#[test]
fn a_machines_tasks_move_its_share_of_the_bar_and_say_what_goes_on() {
    let mut bar = Bar::new(pace(5, &[("create", "vm.a", 30), ("create", "vm.b", 10)]));
    bar.heard(Some(at(0)));
    bar.plan("vm.a", "proxmox_vm", "create");
    bar.plan("vm.b", "proxmox_vm", "create");
    bar.begin(&object("vm.b", "create", 0));
    bar.end(&object("vm.b", "create", 1000), true);
    bar.begin(&object("vm.a", "create", 1000));
    assert_eq!(bar.objects(at(1000)).unwrap().0, 31);
    let mut hear = |tasks: Vec<MachineTask>, ms: i64| {
        bar.hear_machines(MachinesAtWork { vmids: vec![700, 701], tasks });
        bar.objects(at(ms)).map(|(percent, words)| (percent, words.split(';').next().unwrap().to_owned()))
    };
    let cloning = |percent| task(2000, "qmclone", Some(percent), None);
    let told = |percent, words: &str| Some((percent, words.to_owned()));
    assert_eq!(hear(vec![cloning(50)], 3000), told(61, "web-1: cloning disk 50 %, 2 of 2"));
    // Its log starts anew with the next disk.
    assert_eq!(hear(vec![cloning(3)], 4000), told(61, "web-1: cloning disk 50 %, 2 of 2"));
    let cloned = task(2000, "qmclone", Some(100), Some("OK"));
    assert_eq!(hear(vec![cloned.clone()], 5000), told(91, "creating web-1, 2 of 2"));
    let starting = task(6000, "qmstart", None, None);
    assert_eq!(hear(vec![cloned, starting], 6000), told(91, "web-1: starting, 2 of 2"));
}
