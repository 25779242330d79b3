//! Measures the throughput of one machine: three nodes in threads, and clients that each send the next request as
//! soon as the last is answered.
//!
//! `cargo run --release -p heckle-server --example closed_loop -- [clients] [keys] [seconds]`

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{TempDir, TestClient, options_of_cluster, start_all, status};
use heckle_server::client_protocol::Outcome;
use heckle_server::options::StorageOptions;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let clients = arguments.next().unwrap_or(32);
    let keys = arguments.next().unwrap_or(100);
    let duration = Duration::from_secs(arguments.next().unwrap_or(5));

    let dir = TempDir::new("closed-loop");
    let mut options = options_of_cluster(dir.path(), 3);
    for options in &mut options {
        options.storage = StorageOptions::default();
    }
    let begin = Instant::now();
    let nodes = start_all(&options);
    println!("ready and connected after {:?}", begin.elapsed());
    let end = Instant::now() + duration;
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let mut client = TestClient::to(&nodes[number as usize % nodes.len()]);
            std::thread::spawn(move || {
                let mut latencies_us = Vec::new();
                let mut key = number;
                while Instant::now() < end {
                    let begin = Instant::now();
                    key = (key * 31 + 7) % keys;
                    let outcome = client.write(&format!("k{key}"), &format!("{number}-{}", latencies_us.len()));
                    assert!(matches!(outcome, Outcome::Applied), "{outcome:?}");
                    latencies_us.push(begin.elapsed().as_micros());
                }
                latencies_us
            })
        })
        .collect();
    let mut latencies_us: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect();
    latencies_us.sort_unstable();
    let ops = latencies_us.len();
    let at = |share: f64| latencies_us[((ops - 1) as f64 * share) as usize];
    println!(
        "{clients} clients, {keys} keys: {:.0} ops/s, p50 {} us, p99 {} us, max {} us",
        ops as f64 / duration.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    for node in &nodes {
        let status = status(node);
        println!(
            "{}: {} syncs ({:.2} per op and node), sync p50 {} us, p99 {} us, {} records, {} log bytes, {} round trips, {} preempted, {} turns",
            status.node,
            status.syncs,
            status.syncs as f64 / ops as f64,
            status.sync_latency.p50_us,
            status.sync_latency.p99_us,
            status.records,
            status.log_bytes,
            status.round_trips,
            status.preempted,
            status.turns
        );
    }
}
