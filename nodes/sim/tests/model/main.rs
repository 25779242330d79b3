//! Every interleaving of a small world, explored with `stateright`: the very same core as in the server, three acceptors,
//! two coordinators, messages late, lost, doubled and out of order, crashes, timers.
//!
//! What the simulator samples at length, this explores to the end, or to a stated number of states. Run it longer with
//! `HECKLE_MODEL_STATES=5000000 cargo test -p heckle-sim --release --test model -- --nocapture`.

mod watch;
mod world;

use heckle_paxos::{Backoff, Call, Config, Mutant, MutantClass, Mutants, NodeId, Rounds};
use stateright::{Checker, Model, Property, UniformChooser};
use watch::Rule;
use world::{After, Ask, Asking, Budget, Progress, Step, World, value};

/// What is explored.
#[derive(Clone)]
struct Scope {
    name: &'static str,
    config: Config,
    asks: Vec<Ask>,
    left: Budget,
    /// Attempts after this ballot are not followed: coordinators can outbid each other for ever.
    max_ballot: u64,
    asking: Asking,
    idle: Idle,
}

/// What becomes of a message that arrives without effect.
#[derive(Clone, Copy, PartialEq)]
enum Idle {
    IsLeft,
    IsTaken,
}

impl Model for Scope {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.config, &self.asks, self.left)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        // A world beyond the bound is looked at, and not followed.
        if world.highest_ballot() <= self.max_ballot {
            world.steps(self.asking, steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let next = world.after(&step, &self.asks);
        // To arrive without effect is to be lost, which needs no state of its own. But a walk is lost itself where a step
        // leads nowhere: it takes the message away.
        match (self.idle, next) {
            (_, After::Changed(next)) | (Idle::IsTaken, After::Idle(next)) => Some(next),
            (Idle::IsLeft, After::Idle(_)) => None,
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("agreement: one update a ballot, one row a version", |_, world: &World| !world.watch.broke(Rule::Agreement)),
            Property::always("no acknowledged update is lost", |_, world: &World| !world.watch.broke(Rule::Acknowledged)),
            Property::always("what was told stays true: fences and refusals are permanent", |_, world: &World| {
                !world.watch.broke(Rule::Told)
            }),
            // A model in which nothing can happen holds every promise.
            Property::sometimes(ANSWERED, |_, world: &World| world.ops.iter().all(|op| matches!(op, Progress::Answered(_)))),
        ]
    }
}

/// All ways through the rounds.
const ROUNDS: [Rounds; 4] = [Rounds::Classic, Rounds::Merged, Rounds::AsyncLearn, Rounds::Fast];

/// Name of the property that shows that something gets done.
const ANSWERED: &str = "every operation is answered";

const CALM: Budget = Budget { crashes: 0, duplicates: 0, timers: 0 };

fn config(rounds: Rounds, mutants: Mutants) -> Config {
    let members: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let mut config = Config::new(members[0], members);
    config.backoff = Backoff::None;
    config.rounds = rounds;
    config.mutants = mutants;
    config
}

fn cas(node: usize, expected: Option<&str>, new: &str) -> Ask {
    Ask { node, call: Call::Cas { expected: expected.map(value), new: value(new) } }
}

fn write(node: usize, new: &str) -> Ask {
    Ask { node, call: Call::Write { new: value(new) } }
}

/// Asks through `node` what became of the operation at a place in the list.
fn fate(node: usize, of: usize) -> Ask {
    Ask { node, call: Call::Fate { of: world::id(of), born: heckle_paxos::Ballot::ZERO } }
}

fn read(node: usize) -> Ask {
    Ask { node, call: Call::Read }
}

/// The worlds that are explored, from narrow to wide.
fn scopes(rounds: Rounds, mutants: Mutants) -> Vec<Scope> {
    let scope = |name, asks, left, max_ballot| Scope {
        name,
        config: config(rounds, mutants),
        asks,
        left,
        max_ballot,
        asking: Asking::Freely,
        idle: Idle::IsLeft,
    };
    let in_turn = |name, asks, left, max_ballot| Scope { asking: Asking::OneByOne, ..scope(name, asks, left, max_ballot) };
    vec![
        scope(
            "one CAS, a crash, a doubled message and a timer",
            vec![cas(0, None, "a")],
            Budget { crashes: 1, duplicates: 1, timers: 1 },
            3,
        ),
        scope("two CAS through two nodes", vec![cas(0, None, "a"), cas(1, None, "b")], CALM, 2),
        scope("a write, then reads elsewhere", vec![write(0, "a"), read(1), read(1)], CALM, 3),
        scope("a write and a read, a crash", vec![write(0, "a"), read(1)], Budget { crashes: 1, ..CALM }, 2),
        scope("two writes and a timer", vec![write(0, "a"), write(1, "b")], Budget { timers: 1, ..CALM }, 3),
        scope("a write and the question for its fate", vec![write(0, "a"), fate(1, 0)], CALM, 2),
        in_turn("two writes and two reads, one after the other", vec![write(0, "a"), write(1, "b"), read(0), read(1)], CALM, 5),
        in_turn(
            "writes and reads one after the other, two crashes",
            vec![write(0, "a"), write(1, "b"), read(1)],
            Budget { crashes: 2, ..CALM },
            5,
        ),
        in_turn(
            "a write given up, then CAS and reads",
            vec![write(0, "a"), cas(1, None, "b"), read(0), read(1)],
            Budget { crashes: 1, timers: 3, ..CALM },
            6,
        ),
        scope("two CAS, crashes and timers", vec![cas(0, None, "a"), cas(1, None, "b")], Budget { crashes: 1, timers: 3, ..CALM }, 5),
        scope("two CAS, a doubled message", vec![cas(0, None, "a"), cas(1, None, "b")], Budget { duplicates: 1, ..CALM }, 2),
    ]
}

/// States that one exploration may take: some seconds in the test profile.
fn states() -> usize {
    std::env::var("HECKLE_MODEL_STATES").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000)
}

/// In which order states are visited.
#[derive(Clone, Copy)]
enum Order {
    /// Everything near the beginning first: says most about what is left out when it is cut.
    Breadth,
    /// To the end of one run after the other: gets to where deep bugs are.
    Depth,
    /// Random runs to their end.
    Walks,
}

/// What an exploration came to.
struct Explored {
    line: String,
    unique: usize,
    answered: bool,
    broken: Option<String>,
}

/// Explores at most so many states.
fn explore(scope: &Scope, states: usize, order: Order) -> Explored {
    let scope = &Scope { idle: if matches!(order, Order::Walks) { Idle::IsTaken } else { Idle::IsLeft }, ..scope.clone() };
    let builder = scope.clone().checker().threads(2).target_state_count(states);
    match order {
        Order::Breadth => sum_up(scope, states, builder.spawn_bfs().join()),
        Order::Depth => sum_up(scope, states, builder.spawn_dfs().join()),
        Order::Walks => sum_up(scope, states, builder.spawn_simulation(SEED, UniformChooser).join()),
    }
}

/// Of the random walks.
const SEED: u64 = 11;

fn sum_up(scope: &Scope, states: usize, checker: impl Checker<Scope>) -> Explored {
    let (unique, total) = (checker.unique_state_count(), checker.state_count());
    let cut = if total >= states { "cut there" } else { "all there are" };
    let line = format!("{}: {unique} states, {total} with repeats, depth {}, {cut}", scope.name, checker.max_depth());
    let mut discoveries = checker.discoveries();
    let answered = discoveries.remove(ANSWERED).is_some();
    let broken = discoveries.into_iter().next().map(|(name, path)| {
        let (last, steps) = (path.last_state().clone(), path.into_actions());
        format!("{name}: {} after {} steps: {steps:?}", last.watch.wrong().unwrap_or_default(), steps.len())
    });
    Explored { line, unique, answered, broken }
}

#[test]
fn the_protocol_keeps_its_promises() {
    let mut sum = 0;
    for rounds in ROUNDS {
        for scope in scopes(rounds, Mutants::NONE) {
            let mut answered = false;
            for order in [Order::Breadth, Order::Depth, Order::Walks] {
                let explored = explore(&scope, states(), order);
                println!("{rounds:?}, {}", explored.line);
                if let Some(broken) = explored.broken {
                    panic!("{rounds:?}, {}: {broken}", scope.name);
                }
                sum += explored.unique;
                answered |= explored.answered;
            }
            // A model in which nothing gets done keeps every promise.
            assert!(answered, "{rounds:?}, {}: not in one run was every operation answered", scope.name);
        }
    }
    println!("{sum} states explored, nothing wrong");
}

#[test]
fn planted_bugs_are_found() {
    let mut missed = vec![];
    for mutant in Mutant::ALL.iter().filter(|m| m.info().class == MutantClass::Safety) {
        let name = mutant.info().name;
        let found = ROUNDS.into_iter().find_map(|rounds| {
            scopes(rounds, Mutants::only(*mutant))
                .into_iter()
                .find_map(|scope| explore(&scope, states(), Order::Walks).broken.map(|b| (rounds, scope.name, b)))
        });
        match found {
            Some((rounds, scope, broken)) => println!("{name}: found {rounds:?} in `{scope}`: {}", &broken[..broken.len().min(200)]),
            None => {
                println!("{name}: not found");
                missed.push(name);
            }
        }
    }
    println!("missed: {missed:?}");
}
