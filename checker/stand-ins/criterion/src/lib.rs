//! An empty stand-in for `criterion`. `porcupine-rs` 0.3.0 lists it as a dependency of its library but uses it only in
//! its benchmarks. If a later version uses it in the library, the build of `porcupine-rs` fails and this stand-in must
//! be removed.
#![forbid(unsafe_code)]
