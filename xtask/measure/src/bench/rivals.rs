//! The contenders of the main contest.

use envoy_test::KeyKind;
use serde_json::json;

use super::capabilities::{HOST_CRYPTO, NOT_OURS, without};
use super::contender::{Contender, Filter, Tokens};
use super::filters;
use super::modules::Modules;
use super::tokens::Mint;

/// Those that are always there: no filter, jwt_authn, the floor, and ours without what may be missing.
pub fn always(modules: &Modules, mint: &Mint) -> Vec<Contender> {
    let mut rivals = vec![Contender::no_filter()];
    rivals.extend(jwt_authn());
    rivals.extend(floors(modules, mint));
    rivals.extend(ours(modules));
    rivals
}

/// Those that need a module with TokenReview.
pub fn reviewing(modules: &Modules) -> Vec<Contender> {
    let ours = |review| Filter::wasm(&modules.ours, filters::reviewing(&review).to_string());
    let after = json!({ "use": "afterVerification", "cacheTtl": "60s" });
    let always = json!({ "use": "afterVerification", "cacheTtl": "0s" });
    let warm = "sa-authn with TokenReview, one token";
    let each = "sa-authn with TokenReview on every request";
    let instead = "sa-authn with TokenReview alone, every token new";
    vec![
        Contender::new(REVIEW_WARM, warm, ours(after)),
        Contender::new(REVIEW_EACH, each, ours(always)),
        Contender::new(
            "ours_review_instead_each",
            instead,
            ours(json!({ "use": "instead", "cacheTtl": "60s" })),
        )
        .tokens(Tokens::Fresh(RSA)),
    ]
}

// === private ===

fn jwt_authn() -> [Contender; 4] {
    let plain = || Filter::JwtAuthn(filters::jwt_authn());
    let cached = Filter::JwtAuthn(filters::jwt_authn_with_cache());
    [
        Contender::new(JWT_AUTHN, "jwt_authn", plain()),
        Contender::new(JWT_AUTHN_CACHE, "jwt_authn with its cache", cached),
        Contender::new(JWT_AUTHN_RS256, "jwt_authn, every token new, RS256", plain())
            .tokens(Tokens::Fresh(RSA)),
        Contender::new(JWT_AUTHN_ES256, "jwt_authn, every token new, ES256", plain())
            .tokens(Tokens::Fresh(EC)),
    ]
}

/// The least that Wasm takes: to edit headers, to know besides what every filter that judges must know, and to
/// have a signature verified besides that. None of them decides anything.
fn floors(modules: &Modules, mint: &Mint) -> [Contender; 6] {
    let edits = Filter::wasm(&modules.floor, filters::FLOOR);
    let sdk = Filter::wasm(&modules.floor_sdk, "");
    // With the callbacks that sa-authn exports, and no other: the difference from `floor_knowing` is the SDK alone.
    let sdk_knowing = Filter::wasm_with(&modules.floor_sdk_with_clock, "", without(NOT_OURS));
    let knowing = |program: String| {
        let wide = &modules.floor_with_every_callback;
        Filter::wasm_with(wide, program, without(NOT_OURS))
    };
    let clock = format!("clock\n{}", filters::FLOOR);
    let verifying = |kind| {
        let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let all: Vec<String> = mint.verify_arguments(kind, SIGNATURES).iter().map(hex).collect();
        knowing(format!("verify {}\n{clock}", all.join(" ")))
    };
    [
        Contender::new(FLOOR, "Wasm floor: edits the headers", edits),
        Contender::new(FLOOR_SDK, "the same, written with the SDK", sdk),
        Contender::new(FLOOR_KNOWING, "Wasm floor that knows time and end", knowing(clock.clone())),
        Contender::new(FLOOR_SDK_KNOWING, "the same, written with the SDK", sdk_knowing),
        Contender::new("floor_rs256", "Wasm floor that has RS256 verified", verifying(RSA)),
        Contender::new("floor_es256", "Wasm floor that has ES256 verified", verifying(EC)),
    ]
}

fn ours(modules: &Modules) -> [Contender; 5] {
    let config = filters::ours().to_string();
    let ours = || Filter::wasm(&modules.ours, config.as_str());
    // Envoy hides its foreign functions from the module, which then verifies by itself.
    let alone = || Filter::wasm_with(&modules.ours, config.as_str(), without(&[HOST_CRYPTO]));
    let cold =
        |key, label, filter, kind| Contender::new(key, label, filter).tokens(Tokens::Fresh(kind));
    [
        Contender::new(OURS, "sa-authn", ours()),
        cold(OURS_RS256, "sa-authn, every token new, RS256", ours(), RSA),
        cold(OURS_ES256, "sa-authn, every token new, ES256", ours(), EC),
        cold(NO_HOST_RS256, "the same without the host's crypto, RS256", alone(), RSA).slow(),
        cold(NO_HOST_ES256, "the same without the host's crypto, ES256", alone(), EC).slow(),
    ]
}

/// How many different ones are verified: of the very same one, a processor would learn the way.
const SIGNATURES: usize = 64;
const RSA: KeyKind = KeyKind::Rsa2048;
const EC: KeyKind = KeyKind::P256;

/// The keys that ratios are made of.
pub const JWT_AUTHN: &str = "jwt_authn";
pub const JWT_AUTHN_CACHE: &str = "jwt_authn_cache";
pub const JWT_AUTHN_RS256: &str = "jwt_authn_fresh_rs256";
pub const JWT_AUTHN_ES256: &str = "jwt_authn_fresh_es256";
pub const FLOOR: &str = "floor";
pub const FLOOR_SDK: &str = "floor_sdk";
pub const FLOOR_KNOWING: &str = "floor_knowing";
pub const FLOOR_SDK_KNOWING: &str = "floor_sdk_knowing";
pub const OURS: &str = "ours";
pub const OURS_RS256: &str = "ours_fresh_rs256";
pub const OURS_ES256: &str = "ours_fresh_es256";
pub const NO_HOST_RS256: &str = "ours_no_host_rs256";
pub const NO_HOST_ES256: &str = "ours_no_host_es256";
pub const REVIEW_WARM: &str = "ours_review";
pub const REVIEW_EACH: &str = "ours_review_each";
