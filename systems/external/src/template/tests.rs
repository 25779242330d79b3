use super::*;

fn layout() -> Layout {
    let port = |ip: u8, number: u16| Port {
        listen: SocketAddr::from(([127, 0, 0, ip], number)),
        advertise: SocketAddr::from(([127, 0, 1, ip], number)),
    };
    let place = |i: u8| Place {
        id: format!("n{i}"),
        data: format!("/run/n{i}"),
        ports: [("client".to_owned(), port(i, 10)), ("peer".to_owned(), port(i, 20))].into(),
    };
    Layout { cluster: "c".into(), plan: "/plans".into(), nodes: vec![place(1), place(2), place(3)] }
}

fn parse(text: &str) -> Result<Template, Mistake> {
    Template::parse(text, &["client".into(), "peer".into()])
}

#[test]
fn placeholders_become_what_they_name() {
    for (text, want) in [
        ("--id={id} {number}/{count}", "--id=n2 2/3"),
        ("{data}/x of {cluster} in {plan}", "/run/n2/x of c in /plans"),
        ("{client} {client.listen} {peer.advertise}", "127.0.0.2:10 127.0.0.2:10 127.0.1.2:20"),
        ("{client.port} {client.host} {peer.advertise.host}", "10 127.0.0.2 127.0.1.2"),
        ("{peers.peer.advertise:,}", "127.0.1.1:20,127.0.1.3:20"),
        ("{nodes.client.port:; }", "10; 10; 10"),
        ("{nodes.id}", "n1 n2 n3"),
        ("{nodes:,:{id}=http://{peer.advertise}}", "n1=http://127.0.1.1:20,n2=http://127.0.1.2:20,n3=http://127.0.1.3:20"),
        // Each node's own entry names its own address, the others' the relay's.
        ("{nodes:\n:server.{number}={peer.dial}}", "server.1=127.0.1.1:20\nserver.2=127.0.0.2:20\nserver.3=127.0.1.3:20"),
        ("{n3.client.advertise} {n1.id}", "127.0.1.3:10 n1"),
        ("{{\"a\": {number}}}", "{\"a\": 2}"),
        ("é{id}é", "én2é"),
        ("", ""),
    ] {
        let template = parse(text).unwrap_or_else(|m| panic!("{text}: {m:?}"));
        assert_eq!(template.fill(&layout(), 1).as_deref(), Ok(want), "{text}");
    }
    assert!(parse("{n4.client}").expect("well-formed").fill(&layout(), 0).expect_err("no n4").contains("there is no node n4"));
}

#[test]
fn mistakes_are_named_at_their_byte() {
    for (text, at, part) in [
        ("x {id", 2, "`{` without `}`"),
        ("x } y", 2, "`}` without `{`"),
        ("ab{pear.listen}", 3, "did you mean `peer`?"),
        ("{client.lisen}", 8, "no `lisen`"),
        ("{client.listen.port.port}", 8, "more parts"),
        ("{id.port}", 3, "has no parts"),
        ("{id:,}", 3, "takes no separator"),
        ("{peers}", 1, "says nothing"),
        ("{peers:,}", 1, "SEPARATOR:ITEM"),
        ("{nodes:,:{pear}}", 10, "`pear`"),
        ("{nodes.pear:,}", 7, "`pear`"),
        ("{n1}", 1, "`n1` is a node"),
        ("{n1.n2.id}", 4, "a node of a node"),
        ("{}", 1, "no placeholder"),
    ] {
        let mistake = parse(text).expect_err(text);
        assert!(mistake.at == at && mistake.what.contains(part), "{text}: {mistake:?}");
    }
    let deep = "{nodes:,:".repeat(9) + &"}".repeat(9);
    assert!(parse(&deep).expect_err("too deep").what.contains("deep"));
}

#[test]
fn port_names_must_not_be_placeholders() {
    for good in ["client", "peer2", "a-b_c"] {
        assert_eq!(check_port(good), Ok(()));
    }
    for bad in ["", "id", "nodes", "n1", "Client", "2nd", "a.b"] {
        check_port(bad).expect_err(bad);
    }
}
