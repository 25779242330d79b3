//! `--system etcd`: a real cluster of another make under the same load, faults and judge.

use crate::common::*;

#[cfg(not(feature = "etcd"))]
#[test]
fn without_the_feature_it_says_how_to_build_it() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["run", "--system", "etcd"], 64);
    assert!(said(&out).contains("cargo build --release --features etcd"), "{}", said(&out));
    let out = output(&folder, &["doctor"]);
    assert!(said(&out).contains("system etcd"), "{}", said(&out));
}

#[cfg(feature = "etcd")]
#[test]
fn etcd_under_a_kill_is_judged_valid() {
    if heckle::cluster::etcd::find_program().is_err() {
        eprintln!("SKIPPED: no etcd here; {}", heckle::cluster::etcd::INSTALL);
        let folder = Folder::new();
        let out = expect_code(&folder, &["run", "--system", "etcd", "--duration", "1s"], 4);
        assert!(said(&out).contains("etcd-server"), "{}", said(&out));
        return;
    }
    let folder = Folder::new();
    let args =
        ["run", "--system", "etcd", "--faults", "kill", "--duration", "6s", "--warmup", "1s", "--quiet-tail", "1s", "--quiet", "--json"];
    let out = expect_code(&folder, &args, 0);
    let results: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&results["verdict"], &results["plan"]["labels"]["system"]), (&"valid".into(), &"etcd".into()), "{results:#}");
    assert!(results["faults"][0]["effective"] == true && results["faults"][0]["healed"] == true, "{results:#}");
    assert!(results["ops"]["condition_not_met"].as_u64() > Some(0), "refusals carry what they met: {results:#}");
    assert_eq!(nodes_alive(&folder), Vec::<u32>::new());
}
