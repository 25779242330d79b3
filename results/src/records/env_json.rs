//! The machine on which a run was executed: `env.json`, schema `heckle.env/1`, and a fingerprint that is equal on machines
//! whose figures are comparable. The harness gathers the data. The file contains no host name, user or address.

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
    /// Hash of the fields that affect performance; see [`Env::fingerprint_of`].
    pub fingerprint: String,
    /// Number of cores available to this process.
    pub cores: u32,
    /// CPU model, as reported by the kernel.
    pub cpu_model: String,
    /// Total memory.
    pub memory_bytes: u64,
    /// Operating system, such as `linux`.
    pub os: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Processor architecture, such as `x86_64`.
    pub arch: String,
    /// File system of the nodes' data, such as `ext4` or `tmpfs`.
    pub data_filesystem: String,
    /// Median time of a small synced append.
    pub fsync_p50_us: Option<f64>,
    /// 99th percentile of the time of a small synced append.
    pub fsync_p99_us: Option<f64>,
    /// 99th percentile of the wake-up delay after a 1 ms sleep.
    pub timer_late_p99_us: Option<f64>,
    /// Limit on open file descriptors.
    pub open_files_limit: Option<u64>,
    /// Version of the system under test, unless it is bundled with the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_version: Option<String>,
    /// Version of the tool.
    pub heckle_version: String,
    /// The commit of the tool.
    pub build: BuildInfo,
    /// Build profile: `release` or `debug`.
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
    /// Returns the data with the fingerprint filled in.
    #[must_use]
    pub fn with_fingerprint(mut self) -> Self {
        self.fingerprint = self.fingerprint_of();
        self
    }

    /// Returns a hash of the properties that affect performance and stay the same from run to run: cores, CPU, memory to the GiB,
    /// OS, kernel to the minor version, architecture, file system and build profile. Measured figures are too noisy to be
    /// included.
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

    /// Returns the part that is repeated in `results.json`.
    pub fn info(&self) -> EnvInfo {
        EnvInfo {
            fingerprint: self.fingerprint.clone(),
            cores: self.cores,
            fsync_p99_us: self.fsync_p99_us,
            system_version: self.system_version.clone(),
        }
    }

    /// Returns the text of `env.json`.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers serialize");
        text.push('\n');
        text
    }
}

/// FNV-1a hash as 16 hex digits. It identifies equal texts but does not protect against an adversary. Also used for plan hashes.
pub fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_depends_on_the_machine_and_not_on_noise() {
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
