mod live; // the live page and the figures

use super::*;
use heckle_results::results_json::{Results, RunVerdict, Status};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

const RUN: &str = "plan/20260101T000000Z-0001";
const SECRET: &str = "the secret outside";

/// A folder of runs next to a secret file, and a server for the folder.
struct Rig {
    root: PathBuf,
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Rig {
    fn new(name: &str, any_host: bool) -> Self {
        let root = std::env::temp_dir().join(format!("heckle-serve-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let out = root.join("runs");
        let mut results = Results { status: Status::Done, verdict: RunVerdict::Invalid, exit_code: 1, ..Results::default() };
        results.plan.name = "<b>plan</b>".into();
        results.reasons.push("a <script>alert(1)</script> in a reason".into());
        results.ops.invoked = 10;
        for (file, text) in [
            ("results.json", results.to_json().as_str()),
            ("report.html", "<!doctype html><title>the report</title>"),
            ("violations/1/explain.txt", "<i>lost</i> \u{1b}[2J"),
            ("plots/rate.png", "no real picture"),
            ("history.jsonl.zst", "packed"),
            (".hidden.tmp", SECRET),
        ] {
            let path = out.join(RUN).join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
            std::fs::write(path, text).expect("writable");
        }
        std::fs::write(root.join("secret.txt"), SECRET).expect("writable");
        std::fs::create_dir_all(root.join("outside")).expect("writable");
        std::fs::write(root.join("outside/secret.txt"), SECRET).expect("writable");
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, out.join(name)).expect("a link");
        link(Path::new(RUN), "latest");
        link(&root.join("outside"), "latest-failed");
        link(&root.join("outside"), "folder-link");
        link(&root.join("secret.txt"), "file-link");
        link(Path::new("../secret.txt"), "relative-link");
        link(Path::new(RUN), "inner-link");
        let made = std::process::Command::new("mkfifo").arg(out.join("pipe")).status().expect("mkfifo runs");
        assert!(made.success());
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Options { out, any_host }).expect("a free port");
        let (address, over) = (server.address().expect("bound"), Arc::new(AtomicBool::new(false)));
        let ended = over.clone();
        let thread = std::thread::spawn(move || server.run(|| ended.load(Ordering::SeqCst)).expect("listens"));
        Rig { root, address, over, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("it listens")
    }

    /// Sends bytes and returns the whole response.
    fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may refuse the request and close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut reply = vec![];
        let _ = stream.read_to_end(&mut reply);
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn get(&self, target: &str) -> String {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server did not panic");
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

#[track_caller]
fn status(reply: &str) -> u16 {
    let line = reply.lines().next().unwrap_or_default();
    line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_else(|| panic!("{reply:?}"))
}

fn header<'a>(reply: &'a str, name: &str) -> Option<&'a str> {
    reply.split("\r\n\r\n").next()?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn pages_and_files_are_shown() {
    let rig = Rig::new("shown", false);
    let index = rig.get("/");
    assert_eq!(status(&index), 200);
    assert!(index.contains("&lt;b&gt;plan") && !index.contains("<script") && !index.contains("<b>plan"), "{index}");
    assert!(index.contains(&format!("href=\"/browse/{RUN}/\"")) && index.contains("violations/1/explain.txt"), "{index}");
    assert!(rig.get("/?verdict=valid").contains("Nothing matches") && rig.get("/?verdict=failed&plan=*plan*").contains("&lt;b&gt;plan"));
    let run = rig.get(&format!("/browse/{RUN}/"));
    for part in ["plots/rate.png", "history.jsonl.zst", "report.html", "&lt;i&gt;lost", "exit code 1", "&lt;script&gt;"] {
        assert!(run.contains(part), "{part}: {run}");
    }
    assert!(!run.contains('\u{1b}') && !run.contains("hidden.tmp"), "{run}");
    assert!(rig.get(&format!("/files/{RUN}/report.html")).ends_with("<title>the report</title>"));
    let json = rig.get("/index.json?kind=run");
    let json: serde_json::Value = serde_json::from_str(json.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    assert_eq!((&json[0]["path"], &json[0]["verdict"]), (&RUN.into(), &"invalid".into()));
    for (target, to) in [
        ("/?kind=&plan=al*&verdict=&since=", "/?plan=al%2A".to_owned()),
        ("/browse/latest", format!("/browse/{RUN}/")),
        ("/browse/latest/plots/", format!("/browse/{RUN}/plots/")),
        ("/files/latest/report.html", format!("/files/{RUN}/report.html")),
        (&format!("/browse/{RUN}"), format!("/browse/{RUN}/")),
        (&format!("/files/{RUN}/plots"), format!("/browse/{RUN}/plots/")),
        (&format!("/browse/{RUN}/report.html"), format!("/files/{RUN}/report.html")),
    ] {
        let reply = rig.get(target);
        assert_eq!((status(&reply), header(&reply, "Location")), (307, Some(to.as_str())), "{target}");
    }
    let head = rig.send(format!("HEAD /files/{RUN}/report.html HTTP/1.1\r\nHost: [::1]:1\r\n\r\n").as_bytes());
    assert!(head.ends_with("\r\n\r\n") && header(&head, "Content-Length") == Some("40"), "{head}");
    for (target, words) in [("/?kind=x", "did you mean"), ("/?since=soon", "such as 2h"), ("/?x=1", "no parameter")] {
        let reply = rig.get(target);
        assert!(status(&reply) == 400 && reply.contains(words), "{target}: {reply}");
    }
}

#[test]
fn nothing_outside_of_the_folder_is_read() {
    let rig = Rig::new("outside", false);
    for prefix in ["/files/", "/browse/", "/"] {
        for path in [
            "../secret.txt",
            "plan/../../secret.txt",
            "..%2fsecret.txt",
            "%2e%2e/secret.txt",
            "%2e%2e%2fsecret.txt",
            "%252e%252e/secret.txt",
            "..%5csecret.txt",
            "..\\secret.txt",
            "file-link",
            "relative-link",
            "folder-link/secret.txt",
            "folder-link/",
            "latest-failed/secret.txt",
            "latest-failed/",
            "inner-link/report.html",
            "inner-link/",
            "//etc/passwd",
            "%2fetc%2fpasswd",
            "/etc/passwd",
            "../../../../../../../../etc/passwd",
            "plan%00/x",
            "file-link%00.html",
            "pipe",
            "latest/.hidden.tmp",
            "plan/20260101T000000Z-0001/.hidden.tmp",
        ] {
            let mut reply = rig.get(&format!("{prefix}{path}"));
            // The links `latest` and `latest-failed` are followed only inside the folder.
            if status(&reply) == 307 {
                reply = rig.get(header(&reply, "Location").expect("an address"));
            }
            assert_eq!(status(&reply), 404, "{prefix}{path}: {reply}");
            assert!(!reply.contains(SECRET) && !reply.contains("root:"), "{prefix}{path}: {reply}");
        }
    }
    let shown = rig.get("/browse/");
    assert!(!shown.contains("-link") && !shown.contains("pipe") && shown.contains("plan"), "{shown}");
}

#[test]
fn a_page_cannot_reach_beyond_this_server() {
    let rig = Rig::new("policy", false);
    for target in ["/", "/nothing", "/assets/serve.css", "/browse/latest/", &format!("/browse/{RUN}/")] {
        let reply = rig.get(target);
        let policy = header(&reply, "Content-Security-Policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        for (name, want) in
            [("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin"), ("Connection", "close")]
        {
            assert_eq!(header(&reply, name), Some(want), "{target}");
        }
        let body = reply.split("\r\n\r\n").nth(1).expect("a body");
        assert!(
            !body.contains("http://") && !body.contains("https://") && !body.contains(" style=") && !body.contains(" onclick"),
            "{body}"
        );
    }
    let file = rig.get(&format!("/files/{RUN}/report.html"));
    assert!(
        header(&file, "Content-Security-Policy")
            .is_some_and(|p| p.starts_with("sandbox allow-scripts;") && !p.contains("allow-same-origin"))
    );
    for (name, content_type, is_download) in [
        ("history.jsonl.zst", "application/zstd", true),
        ("violations/1/explain.txt", "text/plain; charset=utf-8", false),
        ("plots/rate.png", "image/png", false),
    ] {
        let reply = rig.get(&format!("/files/{RUN}/{name}"));
        assert_eq!(header(&reply, "Content-Type"), Some(content_type));
        assert_eq!(header(&reply, "Content-Disposition").is_some(), is_download, "{name}");
    }
}

#[test]
fn other_names_are_refused_on_loopback() {
    let with = |rig: &Rig, host: &str| status(&rig.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()));
    let (closed, open) = (Rig::new("host-closed", false), Rig::new("host-open", true));
    for (host, here, public) in [
        ("localhost:80", 200, 200),
        ("127.0.0.1", 200, 200),
        ("rebound.example", 421, 200),
        ("10.1.2.3:80", 421, 200),
        ("a b", 400, 400),
        ("", 400, 400),
    ] {
        assert_eq!((with(&closed, host), with(&open, host)), (here, public), "{host}");
    }
}

#[test]
fn bad_requests_get_their_status() {
    let rig = Rig::new("bad", false);
    let host = "Host: localhost\r\n\r\n";
    for (request, want) in [
        (format!("POST / HTTP/1.1\r\n{host}"), 405),
        (format!("PUT /files/x HTTP/1.1\r\n{host}"), 405),
        (format!("GET / HTTP/3\r\n{host}"), 505),
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        (format!("GET / HTTP/1.1\r\nContent-Length: 3\r\n{host}abc"), 400),
        (format!("GET /{} HTTP/1.1\r\n{host}", "x".repeat(3_000)), 414),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n{host}", "x".repeat(20_000)), 431),
        ("x".repeat(100_000), 431),
        ("\u{16}\u{3}\u{1}\r\n\r\n".into(), 400),
    ] {
        let reply = rig.send(request.as_bytes());
        assert_eq!(status(&reply), want, "{}", request.chars().take(60).collect::<String>());
        assert_eq!(header(&reply, "Allow").is_some(), want == 405);
    }
    // A second request on the same connection is not read.
    let two = rig.send(format!("GET /assets/icon.svg HTTP/1.1\r\n{host}GET / HTTP/1.1\r\n{host}").as_bytes());
    assert_eq!(two.matches("HTTP/1.1 ").count(), 1, "{two}");
    // One request ends early, and one never begins.
    let mut early = rig.connect();
    early.write_all(b"GET / HT").expect("sent");
    early.shutdown(std::net::Shutdown::Write).expect("open");
    let mut reply = String::new();
    early.read_to_string(&mut reply).expect("a reply");
    assert_eq!(status(&reply), 400);
    drop(rig.connect());
    assert_eq!(status(&rig.get("/")), 200, "the server goes on");
}

#[test]
fn connections_beyond_the_limit_are_refused_and_places_are_given_back() {
    let rig = Rig::new("limit", false);
    let idle: Vec<TcpStream> = (0..MAX_CONNECTIONS).map(|_| rig.connect()).collect();
    // The server accepts connections in order, so all slots are taken by now.
    assert_eq!(status(&rig.send(b"")), 503);
    drop(idle);
    let deadline = Instant::now() + Duration::from_secs(20);
    while status(&rig.get("/assets/icon.svg")) != 200 {
        assert!(Instant::now() < deadline, "no place was given back");
    }
}
