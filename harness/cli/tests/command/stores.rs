//! `heckle bench store`: every built-in store is written to and killed, and still contains all its data afterwards.

use crate::common::*;

#[test]
fn each_store_is_measured_and_nothing_is_left() {
    let folder = Folder::new();
    let args = ["bench", "store", "--repetitions", "1", "--batches", "20", "--out", "runs", "--json"];
    let out = expect_code(&folder, &args, 0);
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let rows = report["rows"].as_array().expect("rows");
    let stores = if cfg!(feature = "stores") { &["log", "fjall", "redb"][..] } else { &["log"] };
    let expected: Vec<_> = [1, 8, 64].iter().flat_map(|size| stores.iter().map(move |store| (*store, *size))).collect();
    let measured: Vec<_> =
        rows.iter().map(|row| (row["store"].as_str().expect("a name"), row["records_per_batch"].as_u64().expect("a size"))).collect();
    assert_eq!(measured, expected);
    for row in rows {
        assert!(row["p50_us"].as_f64() > Some(0.0) && row["p50_us"].as_f64() <= row["p99_us"].as_f64(), "{row:#}");
        assert!(row["disk_mib"].as_f64() > Some(0.5) && row["recovered_records"].as_f64() >= Some(10_000.0), "{row:#}");
        // One sync makes a batch durable. Where syncs are counted, no store can need fewer.
        assert!(row["syncs_per_batch"].as_f64().is_none_or(|syncs| (0.9..20.0).contains(&syncs)), "{row:#}");
        assert!(row["syncs_per_batch"].is_null() != row["syncs_not_counted"].is_null(), "{row:#}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("runs")).expect("the folder of --out").count(), 0, "data was left");
    #[cfg(not(feature = "stores"))]
    assert!(said(&out).contains("cargo build --release --features stores"), "{}", said(&out));
}

#[test]
fn what_cannot_be_measured_is_said_and_nothing_is_left() {
    let folder = Folder::new();
    std::fs::write(folder.path().join("file"), "in the way").expect("a writable folder");
    let out = expect_code(&folder, &["bench", "store", "--out", "file/runs"], 4);
    assert!(said(&out).contains("file/runs") && said(&out).contains("--out"), "{}", said(&out));
    let out = expect_code(&folder, &["bench", "store", "--batches", "0"], 64);
    assert!(said(&out).contains("--batches"), "{}", said(&out));
    let out = expect_code(&folder, &["store-child", "sqlite", "data", "1", "1"], 4);
    assert!(said(&out).contains("sqlite") && said(&out).contains("log"), "{}", said(&out));
}
