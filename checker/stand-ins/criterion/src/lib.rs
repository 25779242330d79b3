//! Nothing. `porcupine-rs` 0.3.0 names `criterion` as a dependency of its library and uses it in its benchmarks only.
//! Should a later version use it, its build fails here, and this stand-in can go.
#![forbid(unsafe_code)]
