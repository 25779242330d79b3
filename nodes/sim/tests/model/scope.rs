//! The scope of an exploration: what is explored, how far, and what must hold in every state.

use heckle_paxos::{Backoff, Ballot, Call, Config, Mutants, NodeId, Prune, Queue, Rounds};
use stateright::{Checker, HasDiscoveries, Model, Property};

use super::watch::Rule;
use super::world::{self, Ask, Budget, Progress, RequestOrder, Step, World, value};

/// A small world.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) rounds: Rounds,
    /// One letter and the index of a node for each operation: `w` writes, `c` is a CAS that expects no value, `x` a
    /// CAS that expects a value that is never written, `r` reads, `f` queries the fate of the first operation.
    pub(crate) asks: &'static str,
    pub(crate) asking: RequestOrder,
    pub(crate) left: Budget,
    pub(crate) prune: Prune,
    /// Worlds with a later ballot time, or an operation with more attempts, are not explored, because coordinators
    /// can outbid each other forever. Ballots count from 1.
    pub(crate) bound: u64,
}

/// The only faults are late, lost, duplicated and reordered messages.
pub(crate) const CALM: Budget = Budget { crashes: 0, blackouts: 0, timers: 0, timeouts: 0 };

/// A world in which operations are requested at any time.
pub(crate) const fn freely(rounds: Rounds, asks: &'static str, left: Budget, bound: u64) -> Scope {
    Scope { rounds, asks, asking: RequestOrder::Freely, left, prune: Prune::Off, bound }
}

/// A world in which operations are requested one after the other.
pub(crate) const fn in_turn(rounds: Rounds, asks: &'static str, left: Budget, bound: u64) -> Scope {
    Scope { asking: RequestOrder::OneByOne, ..freely(rounds, asks, left, bound) }
}

/// The order in which states are visited.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// Breadth first: the first counterexample found is as short as any.
    Breadth,
    /// Depth first: uses little memory, and reaches deep bugs.
    Depth,
}

/// The result of an exploration.
pub(crate) struct Explored {
    pub(crate) unique: usize,
    /// Number of steps taken, including repeated ones.
    pub(crate) steps: usize,
    /// Whether all states were explored.
    pub(crate) exhausted: bool,
    /// Whether every operation was answered in some run.
    pub(crate) answered: bool,
    /// The first broken rule, and the number of steps to it.
    pub(crate) broken: Option<(Rule, String, usize)>,
    /// A one-line summary.
    pub(crate) line: String,
}

impl Scope {
    /// Explores this world until it is exhausted, a rule is broken, or `steps` steps have been taken. Uses one
    /// thread, so every run visits the same states in the same order.
    pub(crate) fn explore(&self, mutants: Mutants, order: Order, steps: usize) -> Explored {
        let explored = Exploring { config: self.config(mutants), asks: self.asks(), scope: self.clone() };
        let builder = explored.checker().target_state_count(steps).finish_when(HasDiscoveries::AnyFailures);
        match order {
            Order::Breadth => self.sum_up(&builder.spawn_bfs().join(), steps),
            Order::Depth => self.sum_up(&builder.spawn_dfs().join(), steps),
        }
    }

    fn sum_up(&self, checker: &impl Checker<Exploring>, steps: usize) -> Explored {
        let (unique, total) = (checker.unique_state_count(), checker.state_count());
        let mut discoveries = checker.discoveries();
        let answered = discoveries.remove(ANSWERED).is_some();
        let broken = discoveries.into_values().next().map(|path| {
            let world = path.last_state().clone();
            let (rule, what) = world.watch.wrong().expect("a rule was broken");
            (rule, what.to_owned(), path.into_actions().len())
        });
        let exhausted = broken.is_none() && total < steps;
        let end = match (&broken, exhausted) {
            (Some(_), _) => "a rule is broken",
            (None, true) => "exhausted",
            (None, false) => "cut there",
        };
        let line = format!("{}: {unique} states in {total} steps, depth {}, {end}", self.name(), checker.max_depth());
        Explored { unique, steps: total, exhausted, answered, broken, line }
    }

    fn name(&self) -> String {
        let Budget { crashes, blackouts, timers, timeouts } = self.left;
        let limits = [(crashes, "crashes"), (blackouts, "blackouts"), (timers, "timers"), (timeouts, "timeouts")];
        let limits: String = limits.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {what} {count}")).collect();
        let asking = if self.asking == RequestOrder::Freely { "at any time" } else { "in turn" };
        let prune = if self.prune == Prune::On { ", prune" } else { "" };
        format!("{} `{}` {asking}{limits}{prune}, ballots to {}", self.rounds.name(), self.asks, self.bound)
    }

    fn config(&self, mutants: Mutants) -> Config {
        let members: Vec<NodeId> = (1..=3).map(NodeId).collect();
        let mut config = Config::new(members[0], members);
        config.backoff = Backoff::None;
        config.lease.ranges = 1;
        config.rounds = self.rounds;
        config.prune = self.prune;
        // A fair queue depends on the clock, which does not advance here.
        config.queue = Queue::Fifo;
        config.mutants = mutants;
        config
    }

    fn asks(&self) -> Vec<Ask> {
        let ask = |(at, word): (usize, &str)| {
            let new = value(&format!("v{at}"));
            let call = match &word[..1] {
                "w" => Call::Write { new },
                "c" => Call::Cas { expected: None, new },
                "x" => Call::Cas { expected: Some(value("nobody's")), new },
                "r" => Call::Read,
                "f" => Call::Fate { of: world::id(0), born: Ballot::ZERO },
                other => panic!("no operation is called {other}"),
            };
            Ask { node: word[1..].parse::<usize>().expect("a node's number") - 1, call }
        };
        self.asks.split(' ').enumerate().map(ask).collect()
    }
}

/// A scope as a `stateright` model.
#[derive(Clone)]
struct Exploring {
    scope: Scope,
    config: Config,
    asks: Vec<Ask>,
}

/// Name of the property that shows progress.
const ANSWERED: &str = "every operation is answered";

impl Model for Exploring {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.config, &self.asks, self.scope.left)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        world.steps(self.scope.asking, steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        world.after(&step, &self.asks)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.watch.highest() <= self.scope.bound
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("agreement", |_, world: &World| !world.watch.broke(Rule::Agreement)),
            Property::always("no acknowledged update is lost", |_, world: &World| !world.watch.broke(Rule::Acknowledged)),
            Property::always("what clients were answered stays true", |_, world: &World| !world.watch.broke(Rule::Reported)),
            Property::always("fences are permanent", |_, world: &World| !world.watch.broke(Rule::Fence)),
            Property::sometimes(ANSWERED, |_, world: &World| world.ops.iter().all(|op| matches!(op, Progress::Answered(_)))),
        ]
    }
}
