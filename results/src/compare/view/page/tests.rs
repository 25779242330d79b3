use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

#[test]
fn the_policy_names_the_style_sheet() {
    let hash = format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE)));
    assert_eq!(STYLE_HASH, hash);
}
