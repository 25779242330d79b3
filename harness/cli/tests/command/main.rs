//! The command as a user meets it: real processes, real files, exit codes.

mod bad_input;
mod bench;
mod common;
mod compare;
mod crashes;
mod ctl;
mod earlier;
mod etcd;
mod faults;
mod foreign;
mod limits;
mod machines;
mod night_mix;
mod nightly;
mod output;
mod own;
mod recheck;
mod redis;
mod runs;
mod safety;
mod starvation;
mod stores;
mod strangers;
mod suites;
mod tasks;
mod zookeeper;
