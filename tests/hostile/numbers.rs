//! Numbers at and beyond their limits.

use super::{Forge, MALFORMED, claims, claims_but};
use crate::support::Outcome;
use sa_authn::denial::Reason;

/// The native verification library stores times in 32 bits of seconds, so it must not check them.
#[test]
fn dates_up_to_2_to_the_53_are_evaluated() {
    let mut forge = Forge::new();
    for exp in [4_294_967_295, 4_294_967_296, 4_294_967_297, 1 << 40, (1 << 53) - 1, 1u64 << 53] {
        let claims = claims_but("exp", &format!(r#""exp":{exp}"#));
        assert!(forge.with_claims(&claims).passes(), "exp {exp}");
    }
    for later in [4_294_967_296, 8_589_934_592, 1u64 << 53] {
        let not_yet = Outcome::Refused(Reason::NotYetValid);
        let claims = claims(&format!(r#""nbf":{later}"#));
        assert_eq!(forge.with_claims(&claims), not_yet, "nbf {later}");
        let claims = claims_but("iat", &format!(r#""iat":{later}"#));
        assert_eq!(forge.with_claims(&claims), not_yet, "iat {later}");
    }
    for past in [0, 1] {
        let claims = claims_but("exp", &format!(r#""exp":{past}"#));
        assert_eq!(forge.with_claims(&claims), Outcome::Refused(Reason::Expired), "exp {past}");
        let claims = claims_but("iat", &format!(r#""iat":{past},"nbf":{past}"#));
        assert!(forge.with_claims(&claims).passes(), "iat {past}");
    }
}

#[test]
fn unused_claim_may_be_any_number_that_fits_a_double() {
    let mut forge = Forge::new();
    for number in [
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "1e308",
        "-0",
        "1e-400",
        "0.1",
    ] {
        assert!(forge.with_claims(&claims(&format!(r#""x":{number}"#))).passes(), "{number}");
    }
    for number in ["1e309", "-1e309", "1e400", "1e99999999999999999999", &"9".repeat(400)] {
        let claims = claims(&format!(r#""x":{number}"#));
        assert_eq!(forge.with_claims(&claims), MALFORMED, "{number}");
    }
}
