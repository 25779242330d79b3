//! The machine a run was made on: `env.json`, schema `heckle.env/1`, and the fingerprint that says whose figures may
//! be compared. Gathering is the harness's; this is what is written down. No host name, user or address is in it.

use crate::results_json::{BuildInfo, EnvInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const SCHEMA: &str = "heckle.env/1";

/// The machine, and the tool that ran on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Env {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Of the fields that decide speed; see [`Env::fingerprint_of`].
    pub fingerprint: String,
    /// Cores this process may use.
    pub cores: u32,
    /// As the kernel names it.
    pub cpu_model: String,
    /// All of it.
    pub memory_bytes: u64,
    /// `linux` …
    pub os: String,
    /// Its version.
    pub kernel: String,
    /// `x86_64` …
    pub arch: String,
    /// The file system under the nodes' data: `ext4`, `tmpfs` …
    pub data_filesystem: String,
    /// A small synced append, median.
    pub fsync_p50_us: Option<f64>,
    /// A small synced append, 99th percentile.
    pub fsync_p99_us: Option<f64>,
    /// How late a 1 ms sleep ended, 99th percentile.
    pub timer_late_p99_us: Option<f64>,
    /// Open files allowed.
    pub open_files_limit: Option<u64>,
    /// Version of the system under test, where it is not this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_version: Option<String>,
    /// Version of the tool.
    pub heckle_version: String,
    /// Which commit.
    pub build: BuildInfo,
    /// `release` or `debug`.
    pub build_profile: String,
}

impl Default for Env {
    fn default() -> Self {
        Env {
            schema: SCHEMA.into(),
            fingerprint: String::new(),
            cores: 0,
            cpu_model: String::new(),
            memory_bytes: 0,
            os: String::new(),
            kernel: String::new(),
            arch: String::new(),
            data_filesystem: String::new(),
            fsync_p50_us: None,
            fsync_p99_us: None,
            timer_late_p99_us: None,
            open_files_limit: None,
            system_version: None,
            heckle_version: String::new(),
            build: BuildInfo::default(),
            build_profile: String::new(),
        }
    }
}

impl Env {
    /// Fills in the fingerprint.
    #[must_use]
    pub fn sealed(mut self) -> Self {
        self.fingerprint = self.fingerprint_of();
        self
    }

    /// A hash of what decides speed and does not change from run to run: cores, CPU, memory to the GiB, OS, kernel to
    /// the minor version, architecture, file system and build profile. Measured figures are noisy and stay out.
    pub fn fingerprint_of(&self) -> String {
        let gib = (self.memory_bytes + (1 << 29)) >> 30;
        let kernel: Vec<&str> = self.kernel.split(['.', '-']).take(2).collect();
        let parts = [
            self.cores.to_string(),
            self.cpu_model.trim().to_owned(),
            gib.to_string(),
            self.os.clone(),
            kernel.join("."),
            self.arch.clone(),
            self.data_filesystem.clone(),
            self.build_profile.clone(),
        ];
        fingerprint(&parts.join("\n"))
    }

    /// What `results.json` repeats.
    pub fn info(&self) -> EnvInfo {
        EnvInfo {
            fingerprint: self.fingerprint.clone(),
            cores: self.cores,
            fsync_p99_us: self.fsync_p99_us,
            system_version: self.system_version.clone(),
        }
    }

    /// The text of an `env.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers serialize");
        text.push('\n');
        text
    }
}

/// FNV-1a as 16 hex digits: a name for equal things, not a seal against an adversary. Also used for plan hashes.
pub fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_moves_with_the_machine_and_not_with_its_noise() {
        let env = Env { cores: 2, cpu_model: "X".into(), memory_bytes: 8 << 30, kernel: "6.1.0-31-amd64".into(), ..Env::default() };
        let same = Env { kernel: "6.1.9".into(), memory_bytes: (8 << 30) - 4096, fsync_p99_us: Some(9.0), ..env.clone() };
        assert_eq!(env.fingerprint_of(), same.fingerprint_of());
        for other in [
            Env { cores: 4, ..env.clone() },
            Env { kernel: "6.2.0".into(), ..env.clone() },
            Env { build_profile: "debug".into(), ..env.clone() },
        ] {
            assert_ne!(env.fingerprint_of(), other.fingerprint_of());
        }
        assert_eq!(fingerprint("a"), "af63dc4c8601ec8c", "the published FNV-1a value");
    }
}
