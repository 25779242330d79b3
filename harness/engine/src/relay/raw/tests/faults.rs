//! The effects of faults on bytes, and their evidence.

use super::program::Between;
use super::*;

const BOTH_WAYS: [&str; 2] = ["n1>n2", "n2>n1"];

/// A node and its peer, connected.
fn connected(rig: &Rig) -> (Program, TcpStream) {
    let mut program = Program::start(rig.address, &rig.of("n1"), Between::Nothing);
    program.say(b"hello");
    let mut target = rig.accepted();
    hear(&mut target, b"hello");
    (program, target)
}

#[test]
fn a_cut_holds_bytes_and_lets_them_out_in_order() {
    let rig = Rig::new("cut");
    let (mut n1, mut n2) = connected(&rig);
    rig.apply(&BOTH_WAYS, LinkEffect::Cut);
    for word in ["one ", "two ", "three"] {
        n1.say(word.as_bytes());
        std::thread::sleep(Duration::from_millis(5));
    }
    n2.write_all(b"back").expect("the relay takes it");
    hear_nothing(&mut n2);
    n1.hear_nothing();
    let held = |link: &str| Rig::bytes(&rig.relay.evidence(1), link);
    until("all of it is held", || (held("n1>n2"), held("n2>n1")) == (13, 4));
    let waiting = |link: &str| rig.relay.flow(link.parse().expect("a link")).waiting;
    assert_eq!((waiting("n1>n2"), waiting("n2>n1")), (13, 4));
    let did = rig.lift();
    assert_eq!((did.held_frames, did.resets), (17, 0));
    hear(&mut n2, b"one two three");
    n1.hear(b"back");
    let json = did.to_json();
    assert_eq!((&json["held_bytes"], &json["bytes_by_link"]["n1>n2"]), (&17.into(), &13.into()), "{json:?}");
    assert!(!json.contains_key("held_frames") && !json.contains_key("blocked_frames"), "bytes are no frames: {json:?}");
    assert_eq!((waiting("n1>n2"), waiting("n2>n1")), (0, 0));
}

#[test]
fn a_one_way_cut_holds_one_direction_whichever_side_dialled() {
    let rig = Rig::new("one-way");
    let (mut n1, mut n2) = connected(&rig);
    for (cut, to_n2) in [("n2>n1", true), ("n1>n2", false)] {
        let fault = 1 + u64::from(to_n2);
        rig.relay.apply(fault, &[cut.parse().expect("a link")], LinkEffect::Cut);
        n1.say(b"there");
        n2.write_all(b"back").expect("the relay takes it");
        if to_n2 {
            hear(&mut n2, b"there");
            n1.hear_nothing();
        } else {
            n1.hear(b"back");
            hear_nothing(&mut n2);
        }
        until("it is held", || rig.relay.evidence(fault).held_frames > 0);
        let did = rig.relay.remove_fault(fault);
        assert_eq!((Rig::bytes(&did, "n1>n2"), Rig::bytes(&did, "n2>n1")), if to_n2 { (0, 4) } else { (5, 0) });
        if to_n2 { n1.hear(b"back") } else { hear(&mut n2, b"there") }
    }
}

#[test]
fn a_cut_between_nodes_leaves_clients_alone_and_the_reverse() {
    let rig = Rig::new("whom");
    let (mut n1, mut n2) = connected(&rig);
    let mut client = rig.client();
    client.write_all(b"ask").expect("open");
    let mut of_client = rig.accepted();
    hear(&mut of_client, b"ask");
    rig.apply(&BOTH_WAYS, LinkEffect::Cut);
    client.write_all(b"again").expect("open");
    hear(&mut of_client, b"again");
    rig.lift();
    rig.apply(&["clients>n2", "n2>clients"], LinkEffect::Cut);
    n1.say(b"peer");
    hear(&mut n2, b"peer");
    of_client.write_all(b"answer").expect("the relay takes it");
    hear_nothing(&mut client);
    rig.lift();
    hear(&mut client, b"answer");
}

#[test]
fn dials_during_a_cut_are_held() {
    let rig = Rig::new("dial");
    rig.apply(&BOTH_WAYS, LinkEffect::Cut);
    let mut n1 = Program::start(rig.address, &rig.of("n1"), Between::Nothing);
    n1.say(b"hello");
    until("it is held", || rig.relay.evidence(1).blocked_connections == 1);
    rig.nothing_accepted();
    assert_eq!(rig.lift().blocked_connections, 1);
    hear(&mut rig.accepted(), b"hello");
}

/// Bytes in transit during a cut are held, and the writer is blocked before the relay's memory fills up.
#[test]
fn a_cut_in_the_middle_of_a_large_transfer_loses_nothing_and_holds_little() {
    const BYTES: usize = 64 << 20;
    let rig = Rig::new("large");
    let client = rig.client();
    let byte = |at: usize| (at * 31 + at / 65_537) as u8;
    let mut writer = client.try_clone().expect("a descriptor");
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = written.clone();
    let writing = std::thread::spawn(move || {
        let all: Vec<u8> = (0..BYTES).map(byte).collect();
        for piece in all.chunks(100_000) {
            writer.write_all(piece).expect("open");
            counted.fetch_add(piece.len(), std::sync::atomic::Ordering::SeqCst);
        }
    });
    let mut target = rig.accepted();
    let (mut got, mut buffer) = (0, vec![0; 70_000]);
    let read = |target: &mut TcpStream, got: &mut usize, buffer: &mut Vec<u8>| {
        let n = target.read(buffer).expect("it comes");
        assert!(n > 0 && buffer[..n].iter().enumerate().all(|(i, b)| *b == byte(*got + i)), "at {got}");
        *got += n;
    };
    while got < BYTES / 4 {
        read(&mut target, &mut got, &mut buffer);
    }
    rig.apply(&["clients>n2"], LinkEffect::Cut);
    // The receiver may still read bytes that its kernel already has.
    target.set_read_timeout(Some(Duration::from_millis(300))).expect("open");
    while let Ok(n @ 1..) = target.peek(&mut buffer) {
        assert!(n > 0);
        read(&mut target, &mut got, &mut buffer);
    }
    let sent = written.load(std::sync::atomic::Ordering::SeqCst);
    assert!(sent < BYTES && sent - got < 24 << 20, "{sent} were written and {got} read: the writer must wait");
    let held = rig.lift().held_frames;
    assert!(held > 0 && held <= (sent - got + 200_000) as u64, "{held} held");
    target.set_read_timeout(Some(PATIENCE)).expect("open");
    while got < BYTES {
        read(&mut target, &mut got, &mut buffer);
    }
    writing.join().expect("all was written");
}

#[test]
fn a_delay_is_measured_and_keeps_the_order() {
    let rig = Rig::new("delay");
    let (mut n1, mut n2) = connected(&rig);
    rig.apply(&["n1>n2"], LinkEffect::Delay { delay_us: 50_000, jitter_us: 20_000 });
    let sent = Instant::now();
    n1.say(b"first ");
    std::thread::sleep(Duration::from_millis(10));
    n1.say(b"second");
    hear(&mut n2, b"first second");
    assert!(sent.elapsed() >= Duration::from_millis(60), "{:?}", sent.elapsed());
    n2.write_all(b"at once").expect("open");
    n1.hear(b"at once");
    let did = rig.lift();
    assert_eq!((did.delayed_frames, Rig::bytes(&did, "n1>n2"), Rig::bytes(&did, "n2>n1")), (12, 12, 0));
    assert!(did.measured_delay.is_some_and(|d| d.p50_us >= 50_000), "{did:?}");
}

#[test]
fn a_slow_link_carries_what_its_rate_allows() {
    const RATE: u64 = 200_000;
    let rig = Rig::new("slow");
    let (client, mut other) = (rig.client(), rig.client());
    let (mut target, mut of_other) = (rig.accepted(), rig.accepted());
    other.write_all(b"x").expect("open");
    rig.apply(&["clients>n2"], LinkEffect::Slow { bytes_per_s: RATE });
    let mut writer = client.try_clone().expect("a descriptor");
    let began = Instant::now();
    let writing = std::thread::spawn(move || writer.write_all(&[7; 200_000]).expect("open"));
    let mut got = vec![0; 200_000];
    // It is not known which end belongs to which client, so see which one receives a byte.
    if target.peek(&mut [0; 2]).expect("something comes") == 1 && of_other.peek(&mut [0; 2]).is_ok_and(|n| n == 2) {
        std::mem::swap(&mut target, &mut of_other);
    }
    target.read_exact(&mut got).or_else(|_| of_other.read_exact(&mut got)).expect("it comes");
    let (took, want) = (began.elapsed().as_secs_f64(), 200_000.0 / RATE as f64);
    writing.join().expect("written");
    // A slow machine may add time, but nothing makes a link faster.
    assert!(took >= want * 0.95 && took <= want * 2.0 + 1.0, "{took:.2} s for what takes {want:.2} s");
    let did = rig.lift();
    assert!(did.slowed_frames >= 200_000 && did.to_json().contains_key("slowed_bytes"), "{did:?}");
}

#[test]
fn a_slow_link_stops_its_writer_soon() {
    let rig = Rig::new("slow-writer");
    let client = rig.client();
    let _target = rig.accepted();
    rig.apply(&["clients>n2"], LinkEffect::Slow { bytes_per_s: 10_000 });
    client.set_write_timeout(Some(Duration::from_millis(300))).expect("open");
    let mut written = 0;
    while let Ok(n) = (&client).write(&[1; 10_000]) {
        written += n;
        assert!(written < 24 << 20, "nothing ever stopped the writer");
    }
    let waiting = rig.relay.flow("clients>n2".parse().expect("a link")).waiting;
    assert!(waiting < 1 << 20, "the relay itself holds {waiting}");
    assert!(rig.lift().released_early > 0);
}

#[test]
fn a_reset_closes_what_is_open_and_what_comes_back() {
    let rig = Rig::new("reset");
    let (_n1, mut n2) = connected(&rig);
    let mut client = rig.client();
    let mut of_client = rig.accepted();
    rig.apply(&BOTH_WAYS, LinkEffect::Reset);
    let ended = n2.read(&mut [0; 8]);
    assert!(matches!(&ended, Err(e) if e.kind() == ErrorKind::ConnectionReset), "{ended:?}");
    let _again = Program::start(rig.address, &rig.of("n1"), Between::Nothing);
    until("it is reset again", || rig.relay.evidence(1).resets == 2);
    rig.nothing_accepted();
    client.write_all(b"still here").expect("a client's connection is none of theirs");
    hear(&mut of_client, b"still here");
    let did = rig.lift();
    assert_eq!((did.resets, did.strikes.values().sum::<u64>()), (2, 2));
}

/// A client can tell a node that is down from one that hangs up, and the relay must preserve this distinction.
#[test]
fn dials_are_refused_while_the_target_is_down() {
    let mut rig = Rig::new("down");
    let claim = heckle_loopback::LoopbackClaim::new().expect("an address");
    let nothing = claim.address().expect("a port");
    rig.address = rig.relay.open(Route::Anyone { to: Node(2) }, nothing).expect("a second port of the same node");
    assert_eq!(rig.address.port(), nothing.port(), "the same number at another address");
    let refused = |rig: &Rig| TcpStream::connect(rig.address).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused);
    for _ in 0..3 {
        assert!(refused(&rig));
        rig.listener = TcpListener::bind(nothing).expect("a claimed port");
        until("it is up", || !refused(&rig));
        rig.client().write_all(b"x").expect("open");
        rig.listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        until("it is down", || refused(&rig));
    }
    // A cut wire cannot refuse a connection.
    rig.apply(&["n1>n2"], LinkEffect::Cut);
    until("it hangs", || !refused(&rig));
    rig.lift();
    until("it is down", || refused(&rig));
    let twice = rig.relay.open(Route::Anyone { to: Node(2) }, nothing);
    assert_eq!(twice.expect_err("it is open").kind(), ErrorKind::AlreadyExists);
    let framed = rig.relay.open(Route::Nodes { from: Node(1), to: Node(2) }, nothing);
    assert_eq!(framed.expect_err("not here").kind(), ErrorKind::InvalidInput);
}

/// While a node is cut off from another, its port is open even if the node is not listening yet. A reset would look like the end of a
/// conversation, so a dialler that is not cut off waits for the node.
#[test]
fn a_dial_waits_for_a_target_that_is_about_to_listen() {
    let mut rig = Rig::new("about-to-listen");
    let claim = heckle_loopback::LoopbackClaim::new().expect("an address");
    let nothing = claim.address().expect("a port");
    rig.address = rig.relay.open(Route::Anyone { to: Node(2) }, nothing).expect("a second port of the same node");
    rig.apply(&["n1>n2"], LinkEffect::Cut);
    until("the port is open", || TcpStream::connect(rig.address).is_ok());
    let mut client = rig.client();
    client.write_all(b"early").expect("open");
    hear_nothing(&mut client);
    rig.listener = TcpListener::bind(nothing).expect("a claimed port");
    hear(&mut rig.accepted(), b"early");
    // If the target never listens, the connection is reset in the end.
    rig.listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let ended = rig.client().read(&mut [0; 8]);
    assert!(matches!(&ended, Err(e) if e.kind() == ErrorKind::ConnectionReset), "{ended:?}");
    assert!(rig.relay.stats().refused_by_target > 0);
}

/// A cut that begins between two dials keeps the relay only from dialling: it still answers, and can lift the cut.
#[test]
fn a_cut_that_begins_between_two_dials_can_be_lifted() {
    let mut rig = Rig::new("cut-between-dials");
    let claim = heckle_loopback::LoopbackClaim::new().expect("an address");
    let nothing = claim.address().expect("a port");
    rig.address = rig.relay.open(Route::Anyone { to: Node(2) }, nothing).expect("a second port of the same node");
    rig.apply(&["n1>n2"], LinkEffect::Cut);
    until("the port is open", || TcpStream::connect(rig.address).is_ok());
    let mut client = rig.client();
    client.write_all(b"early").expect("open");
    until("it is identified", || rig.relay.flow("clients>n2".parse().expect("a link")).connections >= 1);
    rig.relay.apply(2, &["clients>n2".parse().expect("a link")], LinkEffect::Cut);
    hear_nothing(&mut client);
    rig.relay.remove_fault(2);
    rig.listener = TcpListener::bind(nothing).expect("a claimed port");
    hear(&mut rig.accepted(), b"early");
}
