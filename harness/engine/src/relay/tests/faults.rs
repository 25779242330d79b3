//! The effects of faults on frames, and their evidence.

use super::*;

const CUT: LinkEffect = LinkEffect::Cut;
const LINK: &str = "n1>n2";

fn delay(delay_us: u64) -> LinkEffect {
    LinkEffect::Delay { delay_us, jitter_us: 0 }
}

fn all_effects() -> [LinkEffect; 8] {
    let percent = 100.0;
    [
        CUT,
        delay(1_000),
        LinkEffect::Loss { percent },
        LinkEffect::Duplicate { percent },
        LinkEffect::Reorder { percent },
        LinkEffect::Corrupt { percent },
        LinkEffect::Reset,
        LinkEffect::Hang,
    ]
}

#[test]
fn a_cut_stops_exactly_its_link_and_heals() {
    let rig = Rig::new(&[nodes(1, 2), nodes(2, 1), nodes(1, 3)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let (mut back, mut back_far) = rig.connect(nodes(2, 1));
    let (mut other, mut other_far) = rig.connect(nodes(1, 3));
    let before = rig.relay.flow(link(LINK)).frames;
    let did = rig.during(&[LINK], CUT, || {
        n1.say_numbers(0..3);
        n2.hear_nothing();
        for (from, to) in [(&mut back, &mut back_far), (&mut other, &mut other_far)] {
            from.say_numbers([7]);
            assert_eq!(to.hear_numbers(7), [7]);
        }
        assert_eq!(rig.relay.flow(link(LINK)).frames, before);
    });
    assert_eq!((did.blocked_frames, did.held_frames, did.passed_frames), (3, 0, 0));
    assert_eq!(did.strikes.into_iter().collect::<Vec<_>>(), [(link(LINK), 3)]);
    n1.say_numbers([9]);
    assert_eq!(n2.hear_numbers(9), [9], "what was cut is gone, what comes after the heal is there");
    let flow = rig.relay.flow(link(LINK));
    assert_eq!((flow.frames, flow.connections), (before + 1, 1));
    assert!(flow.last.is_some());
}

#[test]
fn a_cut_counts_a_frame_that_it_split_as_cut() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let message = frame(FrameKind::PeerMessage, &1u64.to_le_bytes());
    n1.socket.write_all(&message[..HEADER_LEN + 1]).unwrap();
    n2.hear_nothing();
    let did = rig.during(&[LINK], CUT, || {
        n1.socket.write_all(&message[HEADER_LEN + 1..]).unwrap();
        n2.hear_nothing();
    });
    assert_eq!(did.blocked_frames, 1);
    n1.say_numbers([2]);
    assert_eq!(n2.hear_numbers(2), [2]);
}

#[test]
fn a_cut_client_is_held_and_heard_after_the_heal() {
    let rig = Rig::new(&[clients(1)]);
    let (mut client, mut node) = rig.connect(clients(1));
    let did = rig.during(&["clients>n1"], CUT, || {
        client.say(FrameKind::Request, b"one");
        node.hear_nothing();
        node.say(FrameKind::Response, b"the other way is free");
        client.hear(FrameKind::Response, b"the other way is free");
    });
    assert_eq!((did.blocked_frames, did.held_frames), (1, 1));
    node.hear(FrameKind::Request, b"one");

    let did = rig.during(&["n1>clients"], CUT, || {
        node.say(FrameKind::Response, b"two");
        client.hear_nothing();
    });
    assert_eq!((did.blocked_frames, did.held_frames), (1, 1));
    client.hear(FrameKind::Response, b"two");
}

#[test]
fn a_dial_into_a_cut_hangs_and_comes_up_with_the_heal() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let mut n1 = None;
    let did = rig.during(&[LINK], CUT, || {
        let mut given_up = rig.dial(nodes(1, 2));
        given_up.say(FrameKind::PeerHello, b"impatient");
        drop(given_up);
        let mut patient = rig.dial(nodes(1, 2));
        patient.say(FrameKind::PeerHello, b"patient");
        patient.hear_nothing();
        rig.expect_no_dial(nodes(1, 2));
        until("the connection that gave up is forgotten", || rig.relay.flow(link(LINK)).connections == 1);
        n1 = Some(patient);
    });
    assert_eq!((did.blocked_connections, did.blocked_frames, did.held_frames), (2, 2, 2));
    let mut n2 = rig.accept(nodes(1, 2));
    n2.hear(FrameKind::PeerHello, b"patient");
    n2.say(FrameKind::PeerWelcome, b"");
    n1.unwrap().hear(FrameKind::PeerWelcome, b"");
    rig.expect_no_dial(nodes(1, 2));
}

#[test]
fn an_end_is_heard_of_only_after_the_heal() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, n2) = rig.connect(nodes(1, 2));
    rig.during(&[LINK], CUT, || {
        drop(n2);
        n1.hear_nothing();
    });
    n1.hear_end();
}

#[test]
fn a_delay_is_as_long_as_asked() {
    let rig = Rig::new(&[nodes(1, 2), clients(1)]);
    for (route, on, kind) in [(nodes(1, 2), LINK, FrameKind::PeerMessage), (clients(1), "clients>n1", FrameKind::Request)] {
        let (mut near, mut far) = rig.connect(route);
        let mut took = vec![];
        let did = rig.during(&[on], LinkEffect::Delay { delay_us: 3_000, jitter_us: 1_000 }, || {
            for n in 0..60u64 {
                let start = Instant::now();
                near.say(kind, &n.to_le_bytes());
                far.hear(kind, &n.to_le_bytes());
                took.push(start.elapsed());
            }
        });
        took.sort();
        assert!(took[0] >= Duration::from_millis(3), "none is early: {:?}", took[0]);
        assert!(took[30] < Duration::from_millis(9), "the median is not far off, also on a busy machine: {:?}", took[30]);
        let measured = did.measured_delay.unwrap();
        assert_eq!((did.delayed_frames, did.passed_frames), (60, 60));
        assert!((2_990..9_000).contains(&measured.p50_us), "{measured:?}");
        assert!(measured.p50_us <= measured.p99_us && measured.p99_us <= measured.max_us, "{measured:?}");
    }
}

#[test]
fn the_end_of_a_delay_lets_out_what_waits_in_order() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let did = rig.during(&[LINK], delay(3_600_000_000), || {
        n1.say_numbers(0..100);
        n2.hear_nothing();
    });
    n1.say_numbers([100]);
    assert_eq!(n2.hear_numbers(100), (0..=100).collect::<Vec<_>>());
    assert_eq!((did.released_early, did.delayed_frames, did.measured_delay), (100, 0, None));
}

#[test]
fn losses_are_as_many_as_asked_and_all_counted() {
    const SENT: u64 = 4_000;
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let did = rig.during(&[LINK], LinkEffect::Loss { percent: 30.0 }, || {
        n1.say_numbers(0..SENT);
        until("all frames are decided", || {
            let did = rig.current_evidence();
            did.dropped_frames + did.passed_frames == SENT
        });
    });
    n1.say_numbers([SENT]);
    let got = n2.hear_numbers(SENT);
    assert!(got.is_sorted());
    assert_eq!(got.len() as u64 - 1, SENT - did.dropped_frames);
    // Five standard deviations of the binomial.
    let spread = 5.0 * (SENT as f64 * 0.3 * 0.7).sqrt();
    assert!((did.dropped_frames as f64 - SENT as f64 * 0.3).abs() < spread, "{} of {SENT} lost", did.dropped_frames);
}

#[test]
fn no_handshake_is_ever_lost() {
    let rig = Rig::new(&[nodes(1, 2), clients(1)]);
    let did = rig.during(&[LINK, "clients>n1", "n1>clients"], LinkEffect::Loss { percent: 100.0 }, || {
        let (mut n1, mut n2) = rig.connect(nodes(1, 2));
        let (mut client, mut node) = rig.connect(clients(1));
        n1.say_numbers([1]);
        n2.hear_nothing();
        client.say(FrameKind::Request, b"lost");
        node.hear_nothing();
        node.say(FrameKind::Response, b"lost");
        client.hear_nothing();
    });
    assert_eq!((did.dropped_frames, did.strikes.len(), did.passed_frames), (3, 3, 3));
}

#[test]
fn copies_are_whole_frames_and_all_counted() {
    const SENT: u64 = 1_000;
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let did = rig.during(&[LINK], LinkEffect::Duplicate { percent: 40.0 }, || {
        n1.say_numbers(0..SENT);
        until("all frames passed", || rig.current_evidence().passed_frames == SENT);
        // Held copies leave within 20 ms.
        std::thread::sleep(SILENCE);
    });
    n1.say_numbers([SENT]);
    let mut got = n2.hear_numbers(SENT);
    assert_eq!(got.len() as u64 - 1, SENT + did.duplicated_frames);
    assert!(!got.is_sorted(), "some copies come late");
    let spread = 5.0 * (SENT as f64 * 0.4 * 0.6).sqrt();
    assert!((did.duplicated_frames as f64 - SENT as f64 * 0.4).abs() < spread, "{} of {SENT} doubled", did.duplicated_frames);
    got.sort();
    got.dedup();
    assert_eq!(got, (0..=SENT).collect::<Vec<_>>());
}

#[test]
fn reordering_loses_nothing_and_counts_what_was_overtaken() {
    const SENT: u64 = 1_000;
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let did = rig.during(&[LINK], LinkEffect::Reorder { percent: 20.0 }, || {
        n1.say_numbers(0..SENT);
        until("all frames passed", || rig.current_evidence().passed_frames == SENT);
    });
    n1.say_numbers([SENT]);
    let mut got = n2.hear_numbers(SENT);
    let overtaken = (1..got.len()).filter(|i| got[..*i].iter().max() > got.get(*i)).count() as u64;
    assert_eq!(did.reordered_frames, overtaken, "counted as the receiver saw it");
    assert!(overtaken > SENT / 10, "only {overtaken} came late");
    got.sort();
    assert_eq!(got, (0..=SENT).collect::<Vec<_>>());
}

#[test]
fn a_reset_strikes_both_ends_and_every_return() {
    let rig = Rig::new(&[nodes(1, 2), clients(1)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let (mut client, mut node) = rig.connect(clients(1));
    let did = rig.during(&[LINK], LinkEffect::Reset, || {
        assert_eq!((n1.hear_end(), n2.hear_end()), (Quiet::Reset, Quiet::Reset));
        rig.dial(nodes(1, 2)).hear_end();
        rig.expect_no_dial(nodes(1, 2));
    });
    assert_eq!(did.resets, 2);
    client.say(FrameKind::Request, b"untouched");
    node.hear(FrameKind::Request, b"untouched");
    rig.connect(nodes(1, 2));

    let both_ways = rig.during(&["clients>n1", "n1>clients"], LinkEffect::Reset, || {
        client.hear_end();
    });
    assert_eq!(both_ways.resets, 1, "a connection is reset once, however many of its links are struck");
}

#[test]
fn a_corrupted_frame_is_refused_by_its_receiver_and_counted() {
    const SENT: u64 = 400;
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let did = rig.during(&[LINK], LinkEffect::Corrupt { percent: 100.0 }, || {
        n1.say_numbers(0..SENT);
        until("all frames passed", || rig.current_evidence().passed_frames == SENT);
    });
    assert_eq!((did.corrupted_frames, did.strikes[&link(LINK)]), (SENT, SENT));
    // One bit of each frame is flipped, in its header or its payload, so no frame is accepted.
    let mut received = vec![0; SENT as usize * (HEADER_LEN + 8)];
    n2.socket.read_exact(&mut received).unwrap();
    let (mut positions, mut unread) = (std::collections::BTreeSet::new(), 0);
    for (n, got) in received.chunks(HEADER_LEN + 8).enumerate() {
        let sent = frame(FrameKind::PeerMessage, &(n as u64).to_le_bytes());
        let flipped: Vec<usize> = (0..sent.len() * 8).filter(|bit| (sent[bit / 8] ^ got[bit / 8]) >> (bit % 8) & 1 == 1).collect();
        assert_eq!(flipped.len(), 1);
        positions.insert(flipped[0]);
        let mut reader = FrameReader::new();
        reader.push(got);
        unread += u64::from(!matches!(reader.next_frame(), Ok(Some(_))));
    }
    assert_eq!(unread, SENT, "every flipped bit is noticed");
    assert!(positions.len() > 100, "bits everywhere in the frame are flipped: {}", positions.len());
    n1.say_numbers([SENT]);
    assert_eq!(n2.hear_numbers(SENT), [SENT], "frames after the fault are intact");
}

#[test]
fn a_hang_accepts_connections_and_never_answers_them() {
    let rig = Rig::new(&[nodes(1, 2), clients(1)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let (mut client, mut node) = rig.connect(clients(1));
    let mut dialled = None;
    let did = rig.during(&[LINK], LinkEffect::Hang, || {
        assert_eq!((n1.hear_end(), n2.hear_end()), (Quiet::Reset, Quiet::Reset));
        let mut again = rig.dial(nodes(1, 2));
        again.say(FrameKind::PeerHello, b"again");
        again.hear_nothing();
        rig.expect_no_dial(nodes(1, 2));
        dialled = Some(again);
    });
    assert_eq!((did.resets, did.hung_connections, did.strikes[&link(LINK)]), (1, 1, 2));
    assert_eq!(dialled.unwrap().hear_end(), Quiet::Reset, "what was sent meanwhile is not delivered late");
    rig.expect_no_dial(nodes(1, 2));
    client.say(FrameKind::Request, b"untouched");
    node.hear(FrameKind::Request, b"untouched");
    rig.connect(nodes(1, 2));
}

#[test]
fn rules_stack() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    let on = [link(LINK)];
    rig.relay.apply(1, &on, delay(4_000));
    rig.relay.apply(2, &on, delay(5_000));
    rig.relay.apply(2, &on, LinkEffect::Duplicate { percent: 100.0 });
    let start = Instant::now();
    n1.say_numbers([1]);
    assert_eq!(n2.hear_numbers(1), [1]);
    assert!(start.elapsed() >= Duration::from_millis(9));
    until("the copy left", || rig.relay.evidence(2).duplicated_frames == 1);
    rig.relay.apply(3, &on, CUT);
    n1.say_numbers([2]);
    until("the cut saw it", || rig.relay.evidence(3).blocked_frames == 1);
    // The second fault's effects end together; the first and the cut stay.
    let second = rig.relay.remove_fault(2);
    assert_eq!((second.delayed_frames, second.duplicated_frames, second.effects.len()), (1, 1, 2));
    assert_eq!(rig.relay.remove_fault(3).blocked_frames, 1);
    let start = Instant::now();
    n1.say_numbers([3]);
    n2.hear_numbers(3);
    assert!(start.elapsed() >= Duration::from_millis(4), "the first delay is still on");
    assert_eq!(rig.relay.remove_fault(1).delayed_frames, 2);
}

#[test]
fn lifting_again_changes_nothing_and_says_the_same() {
    let rig = Rig::new(&[nodes(1, 2)]);
    let (mut n1, mut n2) = rig.connect(nodes(1, 2));
    rig.relay.apply(1, &[link(LINK)], CUT);
    rig.relay.apply(2, &[link(LINK)], CUT);
    n1.say_numbers([1]);
    until("both cuts saw it", || rig.relay.evidence(2).blocked_frames == 1);
    let first = rig.relay.remove_fault(1);
    assert_eq!(first.blocked_frames, 1);
    n1.say_numbers([2]);
    until("the other cut still holds", || rig.relay.evidence(2).blocked_frames == 2);
    assert_eq!(rig.relay.remove_fault(1), first);
    assert_eq!(rig.relay.remove_fault(77), Evidence::default());
    rig.relay.remove_fault(2);
    n1.say_numbers([3]);
    assert_eq!(n2.hear_numbers(3), [3]);
}

#[test]
fn an_effect_that_met_no_traffic_claims_nothing() {
    let rig = Rig::new(&[nodes(1, 2), nodes(1, 3)]);
    let (mut n1, mut n3) = rig.connect(nodes(1, 3));
    for effect in all_effects() {
        // One link is never dialled, and the other has no port.
        let did = rig.during(&[LINK, "n4>n5"], effect, || {
            n1.say_numbers([1]);
            n3.hear_numbers(1);
        });
        assert!(!did.shows_effect(), "{effect:?}");
        assert_eq!(did, Evidence { effects: vec![effect], ..Evidence::default() });
        assert!(did.to_json().values().all(|v| v == 0 || *v == serde_json::json!({})), "{:?}", did.to_json());
    }
}

#[test]
fn every_effect_shows_when_it_did_something() {
    for effect in all_effects() {
        let rig = Rig::new(&[nodes(1, 2)]);
        let (mut n1, _n2) = rig.connect(nodes(1, 2));
        let did = rig.during(&[LINK], effect, || {
            // A reset may occur between the two writes.
            let _ = n1.socket.write_all(&frame(FrameKind::PeerMessage, b"1"));
            let _ = n1.socket.write_all(&frame(FrameKind::PeerMessage, b"2"));
            if effect == LinkEffect::Hang {
                until("the connection is reset", || rig.current_evidence().resets == 1);
                rig.dial(nodes(1, 2));
            }
            if matches!(effect, LinkEffect::Reorder { .. }) {
                // Two frames that are both held back do not overtake each other. A handshake is never held back.
                n1.say(FrameKind::PeerHello, b"");
            }
            until("it strikes", || rig.current_evidence().shows_effect());
        });
        assert!(did.strikes[&link(LINK)] > 0, "{effect:?}");
    }
}

#[test]
fn clients_are_never_doubled_or_shuffled() {
    let rig = Rig::new(&[clients(1)]);
    let (mut client, mut node) = rig.connect(clients(1));
    for effect in [LinkEffect::Duplicate { percent: 100.0 }, LinkEffect::Reorder { percent: 100.0 }] {
        let did = rig.during(&["clients>n1"], effect, || {
            for text in [b"a", b"b", b"c"] {
                client.say(FrameKind::Request, text);
            }
            for text in [b"a", b"b", b"c"] {
                node.hear(FrameKind::Request, text);
            }
            node.hear_nothing();
        });
        assert!(!did.shows_effect(), "{did:?}");
    }
}

#[test]
fn a_rule_strikes_links_that_open_later() {
    let relay = Relay::start(Seed(1), std::sync::Arc::new(heckle_system_paxos::PaxosFraming)).unwrap();
    relay.apply(1, &[link(LINK)], CUT);
    let (listener, target) = listener();
    let address = relay.open(nodes(1, 2), target).unwrap();
    let rig = Rig::of(relay, vec![(nodes(1, 2), listener, address)]);
    let mut n1 = rig.dial(nodes(1, 2));
    n1.say(FrameKind::PeerHello, b"");
    rig.expect_no_dial(nodes(1, 2));
    assert_eq!(rig.relay.remove_fault(1).blocked_connections, 1);
    rig.accept(nodes(1, 2)).hear(FrameKind::PeerHello, b"");
}
