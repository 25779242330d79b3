//! Properties of relayed connections, as seen from both ends, with and without faults.

use super::*;
use heckle_loopback::LoopbackClaim;

#[test]
fn everything_passes_however_it_is_cut() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    for byte in frame(FrameKind::PeerMessage, b"trickled") {
        n1.socket.write_all(&[byte]).unwrap();
    }
    n2.hear(FrameKind::PeerMessage, b"trickled");

    // Frames from one byte to the maximum length: many frames in one write, and one frame in many writes.
    let sizes = [1, 100, 65_536, 131_060, 131_073, 262_144, 300_000, 1 << 20, 8 << 20, 3, 0];
    let payload = |len: usize| (0..len).map(|i| (i * 31 + len) as u8).collect::<Vec<u8>>();
    let mut wire = BytesMut::new();
    sizes.iter().for_each(|len| encode_frame(FrameKind::PeerMessage, &payload(*len), &mut wire));
    let mut writer = n1.socket.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        writer.write_all(&wire).unwrap();
        wire.len() as u64
    });
    for len in sizes {
        n2.hear(FrameKind::PeerMessage, &payload(len));
    }
    let written = writing.join().unwrap();
    until("all of it is counted", || rig.relay.flow(link("n1>n2")).bytes >= written);
    // The hello, the frame sent byte by byte, and one frame of each size.
    assert_eq!(rig.relay.flow(link("n1>n2")).frames, 2 + sizes.len() as u64);
    assert_eq!(rig.relay.flow(link("n2>n1")).frames, 0, "an answer to a handshake is no message of the other link");
}

#[test]
fn large_frames_pass_under_a_rule_too() {
    let rig = Rig::new(&[clients(1)]);
    let (mut client, mut node) = rig.connect(clients(1));
    let payload = vec![9; 5 << 20];
    let did = rig.during(&["clients>n1"], LinkEffect::Delay { delay_us: 1_000, jitter_us: 0 }, || {
        let mut writer = client.socket.try_clone().unwrap();
        let wire = frame(FrameKind::Request, &payload);
        let writing = std::thread::spawn(move || (0..3).for_each(|_| writer.write_all(&wire).unwrap()));
        (0..3).for_each(|_| node.hear(FrameKind::Request, &payload));
        writing.join().unwrap();
        client.say(FrameKind::Request, b"small");
        node.hear(FrameKind::Request, b"small");
    });
    assert_eq!(did.delayed_frames, 4);
}

#[test]
fn a_reader_that_does_not_read_stops_only_its_own_writer() {
    for effect in
        [None, Some(LinkEffect::Delay { delay_us: 100, jitter_us: 0 }), Some(LinkEffect::Delay { delay_us: 3_600_000_000, jitter_us: 0 })]
    {
        let rig = Rig::new(&[nodes(1, 2), nodes(1, 3)]);
        let (n1, n2) = rig.connect(nodes(1, 2));
        let (mut other, mut n3) = rig.connect(nodes(1, 3));
        if let Some(effect) = effect {
            rig.relay.apply(1, &[link("n1>n2")], effect);
        }
        n1.socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let message = frame(FrameKind::PeerMessage, &[1; 60_000]);
        let mut written = 0;
        while let Ok(n) = (&n1.socket).write(&message[written % message.len()..]) {
            written += n;
            assert!(written < 256 << 20, "{effect:?}: nothing ever stopped the writer");
        }
        for n in 0..100 {
            other.say_numbers([n]);
            assert_eq!(n3.hear_numbers(n), [n]);
        }
        // Once the receiver reads, all written bytes arrive.
        rig.relay.remove_fault(1);
        let mut reader = n2;
        let mut got = 0;
        reader.read(ARRIVAL_TIMEOUT, |_, payload| {
            got += payload.len() + HEADER_LEN;
            got + message.len() <= written
        });
        assert_eq!(got, written / message.len() * message.len());
    }
}

#[test]
fn a_cut_drops_what_comes_even_if_the_reader_is_stuck() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, _stuck) = rig.connect(nodes(1, 2));
    n1.socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let message = frame(FrameKind::PeerMessage, &[1; 60_000]);
    let mut written = 0;
    while let Ok(n) = n1.socket.write(&message[written % message.len()..]) {
        written += n;
    }
    rig.relay.apply(1, &[link("n1>n2")], LinkEffect::Cut);
    n1.socket.set_write_timeout(Some(ARRIVAL_TIMEOUT)).unwrap();
    // A frame that was begun must be completed, or the stream would lose its framing.
    n1.socket.write_all(&message[written % message.len()..]).unwrap();
    (0..500).for_each(|_| n1.socket.write_all(&message).unwrap());
    until("the cut drops them", || rig.relay.evidence(1).blocked_frames >= 500);
}

#[test]
fn nonsense_passes_as_it_is_and_is_counted() {
    let rig = Rig::new(&[clients(1)]);
    let mut browser = rig.dial(clients(1)).socket;
    let mut node = rig.accept(clients(1)).socket;
    node.set_read_timeout(Some(ARRIVAL_TIMEOUT)).unwrap();
    let mut heard = [0; 18];
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    node.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(rig.relay.stats().unframed, 1);

    // No part of the conversation is ever lost, not even during a cut.
    let links = ["clients>n1", "n1>clients"];
    let did = rig.during(&links, LinkEffect::Loss { percent: 100.0 }, || {
        browser.write_all(b"more").unwrap();
        node.read_exact(&mut heard[..4]).unwrap();
    });
    assert_eq!((&heard[..4], did.dropped_frames), (&b"more"[..], 0));
    let did = rig.during(&links, LinkEffect::Cut, || {
        browser.write_all(b"held").unwrap();
        node.set_read_timeout(Some(SILENCE)).unwrap();
        assert!(node.read(&mut heard).is_err(), "a cut stops raw bytes too");
    });
    assert!(did.held_frames >= 1);
    node.set_read_timeout(Some(ARRIVAL_TIMEOUT)).unwrap();
    node.read_exact(&mut heard[..4]).unwrap();
    assert_eq!((&heard[..4], rig.relay.stats().unframed), (&b"held"[..], 1));
}

#[test]
fn a_target_that_refuses_is_seen_at_once_and_found_when_it_is_back() {
    let relay = Relay::start(Seed(1), std::sync::Arc::new(heckle_system_paxos::PaxosFraming)).unwrap();
    let claim = LoopbackClaim::new().unwrap();
    let target = claim.address().unwrap();
    let address = relay.open(nodes(1, 2), target).unwrap();
    let start = Instant::now();
    let ended = Peer::new(TcpStream::connect(address).unwrap()).hear_end();
    assert_eq!((ended, relay.stats().refused_by_target), (Quiet::Reset, 1));
    assert!(start.elapsed() < Duration::from_secs(5));

    let listener = TcpListener::bind(target).unwrap();
    let rig = Rig::of(relay, vec![(nodes(1, 2), listener, address)]);
    rig.connect(nodes(1, 2));
}

#[test]
fn ends_pass_in_order_behind_what_was_said() {
    let rig = Rig::new(&[nodes(1, 2), clients(1)]);
    let (mut client, mut node) = rig.connect(clients(1));
    client.say(FrameKind::Request, b"last words");
    client.socket.shutdown(std::net::Shutdown::Write).unwrap();
    node.hear(FrameKind::Request, b"last words");
    assert_eq!(node.hear_end(), Quiet::Closed);
    // Half closed: the reply still arrives.
    node.say(FrameKind::Response, b"answer");
    drop(node);
    client.hear(FrameKind::Response, b"answer");
    assert_eq!(client.hear_end(), Quiet::Closed);

    // A delay also applies to the end of the stream.
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    rig.during(&["n1>n2"], LinkEffect::Delay { delay_us: 20_000, jitter_us: 0 }, || {
        n1.say_numbers([1]);
        drop(n1);
        assert_eq!(n2.hear_numbers(1), [1]);
        n2.hear_end();
    });
    drop(n2);
    until("nothing is left open", || [link("n1>n2"), link("clients>n1")].iter().all(|l| rig.relay.flow(*l).connections == 0));
}

#[test]
fn a_torn_frame_stays_torn() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    n1.socket.write_all(&frame(FrameKind::PeerMessage, b"torn")[..HEADER_LEN + 2]).unwrap();
    drop(n1);
    assert_eq!(n2.hear_end(), Quiet::Closed);
    assert_eq!(n2.reader.pending(), HEADER_LEN + 2);
}

#[test]
fn the_death_of_either_end_reaches_the_other() {
    let rig = Rig::new(&[nodes(1, 2)]);
    for far_dies in [true, false] {
        let (mut n1, mut n2) = rig.connect(nodes(1, 2));
        // Unread bytes turn the close into an RST, as when a process is killed.
        n1.say_numbers([1]);
        n2.say(FrameKind::PeerWelcome, b"again");
        until("both are there", || n1.socket.peek(&mut [0]).is_ok() && n2.socket.peek(&mut [0]).is_ok());
        let (mut left, dies) = if far_dies { (n1, n2) } else { (n2, n1) };
        drop(dies);
        left.read(ARRIVAL_TIMEOUT, |_, _| false);
        assert_ne!(left.read(ARRIVAL_TIMEOUT, |_, _| true), Quiet::Open);
        drop(left);
        until("nothing is left open", || rig.relay.flow(link("n1>n2")).connections == 0);
    }
}

#[test]
fn the_same_door_is_not_opened_twice() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let error = rig.relay.open(nodes(1, 2), rig.doors[0].2).unwrap_err();
    assert!(error.to_string().contains("n1>n2"), "{error}");
}

#[test]
fn nothing_is_left_when_the_relay_is_dropped() {
    let rig = Rig::new(&[nodes(1, 2), clients(1)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let (mut client, mut node) = rig.connect(clients(1));
    rig.relay.apply(1, &[link("n1>n2"), link("clients>n1")], LinkEffect::Cut);
    n1.say_numbers([1]);
    client.say(FrameKind::Request, b"held");
    let Rig { relay, doors, .. } = rig;
    drop(relay);
    for peer in [&mut n1, &mut n2, &mut client, &mut node] {
        peer.hear_end();
    }
    for (route, _, address) in doors {
        assert!(TcpStream::connect(address).is_err(), "the door of {route:?} is still open");
    }
}
