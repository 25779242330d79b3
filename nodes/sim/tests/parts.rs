//! The parts of the world: clocks never fire early, disks lose what they should, and links lose and duplicate
//! messages as often as configured.

use heckle_paxos::{Body, IoId, Key, MonoTime, Record, Sync};
use heckle_sim::clock::NodeClock;
use heckle_sim::config::WorldConfig;
use heckle_sim::disk::{Crash, Disk, DurabilityMode};
use heckle_sim::fault::{FaultKind, schedule};
use heckle_sim::net::Net;
use heckle_sim::{Profile, ViolationKind, World};
use rand::SeedableRng;
use rand_pcg::Pcg64;

fn rng() -> Pcg64 {
    Pcg64::seed_from_u64(5)
}

fn record(us: u64) -> Record {
    let ballot = heckle_paxos::Ballot { micros: us, ..heckle_paxos::Ballot::ZERO };
    Record::Promised { key: Key::from("k"), ballot }
}

#[test]
fn a_timer_never_goes_off_early_and_at_most_one_step_late() {
    for drift_ppm in [-100_000, -7, 0, 1, 99_999] {
        let clock = NodeClock { offset_us: 0, drift_ppm, resolution_us: 1 };
        for at in [0, 1, 17, 999_999, 1_000_000, 123_456_789_012] {
            let when = clock.when(MonoTime(at));
            assert!(clock.mono(when) >= MonoTime(at), "drift {drift_ppm}: early for {at}");
            assert!(when == 0 || clock.mono(when - 1) < MonoTime(at), "drift {drift_ppm}: late for {at}");
        }
    }
}

#[test]
fn a_wall_clock_has_its_offset_and_resolution() {
    let at = |offset_us, resolution_us| NodeClock { offset_us, drift_ppm: 0, resolution_us }.wall(1_234_567_890).0;
    let zero = NodeClock { offset_us: 0, drift_ppm: 0, resolution_us: 1 }.wall(0).0;
    assert_eq!(at(0, 1) - zero, 1_234_567);
    assert_eq!(at(-1_000_000, 1) - zero, 234_567);
    assert_eq!(at(0, 1_000) - zero, 1_234_000);
}

#[test]
fn one_sync_covers_the_batches_that_came_before_it() {
    let (mut disk, mut rng) = (Disk::new(WorldConfig::default().disks, DurabilityMode::Synced), rng());
    assert_eq!(disk.append(IoId(1), vec![record(1)], Sync::Lazy, 0, &mut rng), None, "nothing waits for a lazy batch");
    let done = disk.append(IoId(2), vec![record(2)], Sync::Required, 0, &mut rng).expect("a sync starts");
    assert_eq!(disk.append(IoId(3), vec![record(3)], Sync::Required, 0, &mut rng), None, "the next sync takes it along");
    let (io_id, records, next) = disk.synced(done, &mut rng).expect("a sync was running");
    assert_eq!((io_id, records, disk.records().len()), (IoId(2), vec![record(1), record(2)], 2));
    let (io_id, _, next) = disk.synced(next.expect("batch 3 waits"), &mut rng).expect("a sync was running");
    assert_eq!((io_id, next, disk.syncs), (IoId(3), None, 2));
}

#[test]
fn a_crash_loses_exactly_unsynced_records() {
    let mut lost = 0;
    for seed in 0..50 {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut crashed = |discipline, crash| {
            let mut disk = Disk::new(WorldConfig::default().disks, discipline);
            disk.append(IoId(1), vec![record(1), record(2), record(3)], Sync::Required, 0, &mut rng);
            let survived = disk.crash(crash, &mut rng);
            assert_eq!(survived, disk.records());
            assert_eq!(survived, [record(1), record(2), record(3)][..survived.len()], "a prefix");
            assert!(disk.synced(1, &mut rng).is_none(), "the sync died with the process");
            survived.len()
        };
        assert_eq!(crashed(DurabilityMode::Synced, Crash::ProcessKilled), 3, "the page cache survives");
        assert_eq!(crashed(DurabilityMode::AnswerBeforeWrite, Crash::ProcessKilled), 0, "process memory does not");
        lost += 3 - crashed(DurabilityMode::Synced, Crash::PowerLost);
    }
    assert!(lost > 30, "{lost} of 150 records lost");
}

#[test]
fn links_lose_double_and_cut_as_asked() {
    let mut config = WorldConfig::default().links;
    (config.loss_ppm, config.duplicate_ppm, config.learn_loss_ppm) = (200_000, 300_000, 0);
    let (mut net, mut rng) = (Net::new(config), rng());
    for _ in 0..10_000 {
        net.send(0, 1, &Body::Prepare { have: None }, 0, &mut rng);
    }
    assert!((1_800..2_200).contains(&net.lost) && (2_200..2_600).contains(&net.doubled), "{} {}", net.lost, net.doubled);
    net.heal();
    net.cut(0, 1);
    assert_eq!(net.send(0, 1, &Body::Prepare { have: None }, 0, &mut rng), [None, None]);
    assert_ne!(net.send(1, 0, &Body::Prepare { have: None }, 0, &mut rng), [None, None], "one way only");
    net.restore(0, 1);
    assert!(matches!(net.send(0, 1, &Body::Prepare { have: None }, 0, &mut rng), [Some(_), None]));
}

#[test]
fn all_kinds_of_faults_are_drawn_and_heal_before_the_load_ends() {
    let mut config = WorldConfig::default();
    config.faults.kinds = FaultKind::ALL.to_vec();
    config.faults.every_ns = 1_000_000;
    let faults = schedule(&config.faults, 3, config.load_ns, &mut rng());
    for kind in FaultKind::ALL {
        assert!(faults.iter().any(|fault| fault.kind == kind), "{kind:?} never strikes");
    }
    assert!(faults.iter().all(|fault| fault.begin_ns < fault.end_ns.max(1) && fault.end_ns <= config.load_ns));
    for fault in faults {
        let cuts = fault.cuts(3);
        let expected = match fault.kind {
            FaultKind::Isolate => cuts.len() == 4,
            FaultKind::Split => cuts.is_empty() || cuts.len() == 4,
            FaultKind::OneWay => cuts.len() == 1,
            _ => cuts.is_empty(),
        };
        assert!(expected, "{fault:?} cuts {cuts:?}");
    }
}

/// The world detects a cluster without progress, here because no majority can be reached.
#[test]
fn a_world_without_progress_is_reported() {
    let mut config = Profile::Calm.world(1);
    // No message is fast enough for the final reads.
    (config.links.delay_min_ns, config.links.delay_max_ns) = (60_000_000_000, 60_000_000_000);
    let report = World::new(1, config).run();
    assert!(report.violations.iter().any(|violation| violation.kind == ViolationKind::NoProgress));
    assert!(report.violations.iter().all(|violation| violation.kind == ViolationKind::NoProgress), "{:?}", report.violations);
}
