//! The registry of fault kinds, with one line for each source file.

use crate::kind::{Control, FaultKind, Kind};
use crate::target::Role;

/// Declares the files and lists their kinds, so adding a kind requires one file and one line here.
macro_rules! kinds {
    ($($file:ident: $($kind:ident)+;)+) => {
        #[path = "kinds"]
        mod kinds {
            $(pub(super) mod $file;)+
        }

        /// All kinds, in the order in which help and `heckle doctor` list them.
        pub static KINDS: &[&Kind] = &[$($(&kinds::$file::$kind,)+)+];
    };
}

kinds! {
    kill: KILL;
    kill_all: KILL_ALL;
    pause: PAUSE;
    terminate: TERMINATE;
    rolling_restart: ROLLING_RESTART;
    partition: PARTITION MAJORITY ISOLATE ONE_WAY BRIDGE RING CLIENTS;
    delay: DELAY DELAY_LINK DELAY_ONE_WAY;
    slow: SLOW;
    frames: LOSS DUPLICATE REORDER CORRUPT RESET;
    hang: HANG;
    clocks: JUMP DRIFT;
    power_loss: POWER_LOSS POWER_LOSS_ALL;
    slow_disk: SLOW_DISK STALLED_DISK;
    disk_error: IO_ERROR DISK_FULL;
    crash_at: CRASH_AT;
    lost_disk: WIPED_DISK WIPED_LOG OLD_DISK;
}

/// Returns every kind that a plan can list for a system with these roles: first all kinds without a role, then the
/// kinds that can target each role.
pub fn all(roles: &[Role]) -> Vec<FaultKind> {
    let plain = KINDS.iter().map(|kind| FaultKind::new(kind, None));
    let can_be_aimed = || KINDS.iter().filter(|kind| kind.aim.is_some());
    let aimed = roles.iter().flat_map(|role| can_be_aimed().map(|kind| FaultKind::new(kind, Some(role.name.into()))));
    plain.chain(aimed).collect()
}

/// Returns the kind with this name, including its role or point if it has one. Only the system knows whether that role
/// or point exists.
///
/// # Errors
/// If there is no such kind.
pub fn find(name: &str) -> Result<FaultKind, String> {
    let known = |name: &str| KINDS.iter().copied().find(|kind| kind.name == name);
    if let Some(kind) = known(name) {
        return Ok(FaultKind::new(kind, None));
    }
    let at_point = |kind: &&Kind| kind.needs.control.contains(&Control::Points);
    if let Some((kind, point)) = name.split_once(':')
        && let Some(kind) = known(kind).filter(at_point)
        && !point.is_empty()
    {
        return Ok(FaultKind::new(kind, None).at(Some(point.into())));
    }
    let aimed = name.split_once(':').and_then(|(kind, role)| Some((known(kind).filter(|kind| kind.aim.is_some())?, role)));
    match aimed.filter(|(_, role)| !role.is_empty()) {
        Some((kind, role)) => Ok(FaultKind::new(kind, Some(role.into()))),
        None => Err(format!("there is no fault `{name}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use crate::target::{End, Node, all_nodes};
    use heckle_history::Nanos;

    const ROLES: [Role; 1] = [Role { name: "coordinator", about: "the busiest coordinator" }];

    #[test]
    fn names_are_unique_and_found() {
        let all = all(&ROLES);
        for kind in &all {
            assert_eq!(all.iter().filter(|other| other.to_string() == kind.to_string()).count(), 1, "{kind}");
            assert_eq!(find(&kind.to_string()), Ok(kind.clone()));
            assert!(!kind.about(&ROLES).is_empty() && !kind.about(&ROLES).contains('{'), "{kind}");
        }
        assert_eq!(find("crash-at:before-sync").expect("a kind at a point").point(), Some("before-sync"));
        for unknown in ["explode", "", "kill:", "reset:coordinator", ":coordinator", "crash-at:"] {
            assert!(find(unknown).is_err(), "{unknown}");
        }
    }

    /// Checks the fields of every kind. The compiler ensures that they exist; this test ensures that they are meaningful.
    #[test]
    fn every_kind_has_needs_evidence_coverage_and_a_draw_that_names_real_nodes() {
        for kind in all(&ROLES) {
            let needs = kind.needs();
            assert!(needs.nodes >= 1 && !needs.control.is_empty(), "{kind}");
            assert!(!kind.kind().evidence.describe().is_empty(), "{kind}");
            for nodes in needs.nodes..=7 {
                for seed in 0..20 {
                    let fault = drawn(&kind.to_string(), nodes, seed);
                    let lasts = Nanos::from_ms(900);
                    let steps = fault.representative_steps(lasts, nodes).unwrap_or_else(|e| panic!("{kind}: {e}"));
                    assert!(!steps.is_empty(), "{kind} does nothing");
                    for step in &steps {
                        assert!(step.from <= step.to && step.to <= lasts, "{kind}: {step:?}");
                        let real = |node: &Node| all_nodes(nodes).contains(node);
                        assert!(step.action.needs_up().iter().all(real), "{kind} of {nodes}: {step:?}");
                        let ends = step.action.links().iter().flat_map(|link| [link.from, link.to]);
                        assert!(ends.into_iter().all(|end| end == End::Clients || matches!(end, End::Node(n) if real(&n))), "{step:?}");
                    }
                    // In a cluster of one, a fault takes down the whole cluster, but every rule can still be evaluated.
                    let _ = fault.leaves_a_quorum(lasts, nodes);
                }
            }
        }
    }
}
