//! How the relay identifies diallers.

use super::program::Between;
use super::*;

/// Lets a program dial n2, and checks whose links carry its bytes in each direction.
#[track_caller]
fn check(name: &str, environment: impl Fn(&Rig) -> Vec<(String, String)>, between: Between, end: &str, register: Option<Node>) {
    let rig = Rig::new(name);
    let mut program = Program::start(rig.address, &environment(&rig), between);
    if let (Some(node), Some(owners)) = (register, rig.relay.owners()) {
        owners.register(program.child.id(), node);
    }
    program.say(b"hello");
    let mut target = rig.accepted();
    hear(&mut target, b"hello");
    target.write_all(b"welcome!").expect("open");
    program.hear(b"welcome!");
    let flow = |link: String| rig.relay.flow(link.parse().expect("a link")).bytes;
    until("both directions are counted", || (flow(format!("{end}>n2")), flow(format!("n2>{end}"))) == (5, 8));
    assert_eq!(rig.relay.stats().identified, 1);
    assert!(rig.strangers.try_recv().is_err());
}

#[test]
fn a_node_is_known_by_its_environment() {
    check("environment", |rig| rig.of("n1"), Between::Nothing, "n1", None);
}

#[test]
fn a_process_that_was_started_is_known_whatever_its_environment_says() {
    check("started", |_| vec![], Between::Nothing, "n3", Some(Node(3)));
}

#[test]
fn a_child_without_environment_belongs_to_the_node_of_its_parent() {
    check("child", |rig| rig.of("n1"), Between::Parent, "n1", None);
    check("child-of-started", |_| vec![], Between::Parent, "n3", Some(Node(3)));
}

#[test]
fn a_daemon_is_known_by_its_environment() {
    check("daemon", |rig| rig.of("n1"), Between::GoneParent, "n1", None);
}

#[test]
fn a_driver_is_a_client_and_so_is_a_daemon_of_it() {
    check("driver", |_| vec![], Between::Nothing, "clients", None);
    check("driver-daemon", |rig| rig.of("")[..1].to_vec(), Between::GoneParent, "clients", None);
}

#[test]
fn the_program_itself_is_a_client() {
    let rig = Rig::new("itself");
    let mut client = rig.client();
    client.write_all(b"ping").expect("open");
    hear(&mut rig.accepted(), b"ping");
    until("it is counted", || rig.relay.flow("clients>n2".parse().expect("a link")).bytes == 4);
}

/// A dialler that belongs to no run, or to another one: the relay holds its connection and reports its findings.
#[test]
fn a_stranger_is_held_and_named() {
    for other_run in [false, true] {
        let rig = Rig::new("stranger");
        let environment = if other_run { Owners::environment("another", "n1").map(|(n, v)| (n.to_owned(), v)).into() } else { vec![] };
        let mut program = Program::start(rig.address, &environment, Between::GoneParent);
        program.say(b"hello");
        let said = rig.strangers.recv_timeout(PATIENCE).expect("it is reported");
        for words in [&rig.address.to_string()[..], "of n2", "process ", "heckle doctor"] {
            assert!(said.contains(words), "{said}");
        }
        rig.nothing_accepted();
        assert_eq!((rig.relay.stats().identified, rig.relay.stats().unknown), (0, 1));
        // Other diallers are unaffected.
        let _client = rig.client();
        rig.accepted();
    }
}

#[test]
fn what_is_gone_before_it_is_known_is_dropped_and_counted() {
    let rig = Rig::new("gone");
    for _ in 0..100 {
        drop(rig.client());
    }
    let stats = || rig.relay.stats();
    until("all are answered", || stats().identified + stats().gone_unidentified == 100);
    assert_eq!(stats().unknown, 0);
    assert!(stats().gone_unidentified > 0, "{:?}", stats());
}

/// Many clients and some nodes connect at the same time: each connection gets its own bytes back, and each link counts only its own bytes.
#[test]
fn many_simultaneous_connections_are_distinguished() {
    const CLIENTS: usize = 300;
    let rig = Rig::new("many");
    let mut programs: Vec<(String, Program)> = (0..4)
        .map(|i| {
            let node = format!("n{}", 3 + i);
            let between = [Between::Nothing, Between::Parent, Between::GoneParent][i % 3];
            let program = Program::start(rig.address, &rig.of(&node), between);
            (node, program)
        })
        .collect();
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| rig.client()).collect();
    programs.iter_mut().for_each(|(node, program)| program.say(format!("from {node} ").as_bytes()));
    // Echoes everything.
    let targets: Vec<TcpStream> = (0..CLIENTS + programs.len()).map(|_| rig.accepted()).collect();
    for target in targets {
        std::thread::spawn(move || std::io::copy(&mut &target, &mut &target));
    }
    std::thread::scope(|scope| {
        for (i, mut client) in clients.into_iter().enumerate() {
            scope.spawn(move || {
                let words: Vec<u8> = (0..3_000).map(|n| (n * 7 + i) as u8).collect();
                client.write_all(&words).expect("open");
                hear(&mut client, &words);
            });
        }
    });
    for (node, program) in &mut programs {
        let words = format!("from {node} ");
        program.hear(words.as_bytes());
        let flow = rig.relay.flow(format!("{node}>n2").parse().expect("a link"));
        assert_eq!(flow.bytes, words.len() as u64, "{node}");
    }
    let stats = rig.relay.stats();
    assert_eq!((stats.identified, stats.unknown, stats.gone_unidentified), (CLIENTS as u64 + 4, 0, 0));
}

#[test]
fn this_machine_can_identify_diallers() {
    super::super::probe().expect("as heckle doctor finds");
}
