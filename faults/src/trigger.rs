//! What triggers a fault.

use std::num::NonZeroU32;

/// The point at which a fault begins. The system defines its points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtPoint {
    /// Name of the point.
    pub point: Box<str>,
    /// Which hit of a node begins the fault, from 1. Each node counts its own, from when the fault is armed.
    pub hit: NonZeroU32,
}

impl AtPoint {
    /// The next time that a node reaches this point.
    pub fn next(point: &str) -> Self {
        AtPoint { point: point.into(), hit: NonZeroU32::MIN }
    }
}
