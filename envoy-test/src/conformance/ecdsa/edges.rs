//! Signatures with extreme numbers, valid with specially constructed keys.

use num_bigint::BigUint;
use serde_json::{Value, json};

use super::named;
use crate::conformance::curve::{CURVES, Curve};
use crate::conformance::{BAD_SIGNATURE, PASSES, Table, join, signing_input, with};

/// A signing input with a key of its own, and the numbers that this key makes a signature.
struct Edge {
    input: String,
    jwk: Value,
    r: BigUint,
    s: BigUint,
}

/// The keys that the cases are signed with.
pub(super) fn add(curve: &Curve, table: &mut Table) -> Vec<Value> {
    let mut jwks = genuine(curve, table);
    jwks.push(small(curve, table));
    jwks.push(beyond_the_order(curve, table));
    jwks.extend(other_hashes(curve, table));
    jwks
}

fn genuine(curve: &Curve, table: &mut Table) -> Vec<Value> {
    let (n, one, any) = (curve.order(), BigUint::from(1u8), BigUint::from(0x5a5a_5a5a_u32));
    let half: BigUint = &n >> 1;
    let up = |from: &BigUint| count(from.clone(), |number| number + 1u8);
    let down = |from: &BigUint| count(from.clone(), |number| number - 1u8);
    let cases: Vec<(&str, Box<dyn Iterator<Item = BigUint>>, BigUint)> = vec![
        ("s is 1, and right", Box::new(up(&any)), one.clone()),
        ("s is 2, and right", Box::new(up(&any)), BigUint::from(2u8)),
        ("s is n - 1, and right", Box::new(up(&any)), &n - &one),
        ("s is the half of n, and right", Box::new(up(&any)), half.clone()),
        ("s is more than the half of n, and right", Box::new(up(&any)), half + &one),
        ("r is the largest that can be", Box::new(down(&(&n - &one))), any.clone()),
        ("r and s are the same", Box::new(up(&any)), BigUint::ZERO),
    ];
    cases
        .into_iter()
        .map(|(what, rs, s)| {
            let edge = Edge::find(curve, what, rs, &s, false);
            let signature = curve.signature(&edge.r, &edge.s).expect("below the order");
            table.add(named(curve, what), join(&edge.input, &signature), PASSES);
            edge.jwk
        })
        .collect()
}

/// r and s so small that the order fits in beside them: it must not be taken off again.
fn small(curve: &Curve, table: &mut Table) -> Value {
    let what = "r and s as small as can be";
    let from = BigUint::from(1u8);
    let edge = Edge::find(curve, what, count(from.clone(), |r| r + 1u8), &from, false);
    let (r, s, n) = (&edge.r, &edge.s, curve.order());
    for (what, r, s, expected) in [
        (what, r.clone(), s.clone(), PASSES),
        ("r plus n", r + &n, s.clone(), BAD_SIGNATURE),
        ("s plus n", r.clone(), s + &n, BAD_SIGNATURE),
        ("r plus n, and s plus n", r + &n, s + &n, BAD_SIGNATURE),
    ] {
        let signature = curve.signature(&r, &s).expect("small, and the order");
        table.add(named(curve, what), join(&edge.input, &signature), expected);
    }
    edge.jwk
}

/// The x of R is from n to p, so that r is less than it by n (FIPS 186-5 section 6.4.2, step 6).
fn beyond_the_order(curve: &Curve, table: &mut Table) -> Value {
    let what = "R's x is beyond the order";
    let s = BigUint::from(0x5a5a_5a5a_u32);
    let edge = Edge::find(curve, what, count(BigUint::from(1u8), |r| r + 1u8), &s, true);
    let unreduced = &edge.r + curve.order();
    for (what, r, expected) in
        [(what, &edge.r, PASSES), ("R's x, not reduced", &unreduced, BAD_SIGNATURE)]
    {
        let signature = curve.signature(r, &edge.s).expect("below the prime");
        table.add(named(curve, what), join(&edge.input, &signature), expected);
    }
    edge.jwk
}

/// Genuine, had the algorithm another hash.
fn other_hashes(curve: &Curve, table: &mut Table) -> Vec<Value> {
    let others = CURVES.iter().filter(|other| other.alg != curve.alg);
    let edges = others.map(|other| {
        let what = format!("hashed as {} hashes", other.alg);
        let (kid, s) = (named(curve, &what), BigUint::from(0x5a5a_5a5a_u32));
        let input = signing_input(curve.alg, &kid);
        let digest = other.digest(input.as_bytes());
        let mut rs = count(BigUint::from(1u8), |r| r + 1u8);
        let (r, jwk) = rs
            .find_map(|r| Some((r.clone(), curve.key_for(&digest, &r, &s)?)))
            .expect("every second number is a point's x");
        let signature = curve.signature(&r, &s).expect("small");
        table.add(&kid, join(&input, &signature), BAD_SIGNATURE);
        published(curve, jwk, &kid)
    });
    edges.collect()
}

// === impl Edge ===

impl Edge {
    /// The first r for which there is a key; `s` 0 stands for the same as r.
    fn find(
        curve: &Curve,
        what: &str,
        mut rs: impl Iterator<Item = BigUint>,
        s: &BigUint,
        beyond: bool,
    ) -> Self {
        let kid = named(curve, what);
        let input = signing_input(curve.alg, &kid);
        let digest = curve.digest(input.as_bytes());
        let found = rs.find_map(|r| {
            let s = if *s == BigUint::ZERO { r.clone() } else { s.clone() };
            let jwk = match beyond {
                true => curve.key_beyond(&digest, &r, &s)?,
                false => curve.key_for(&digest, &r, &s)?,
            };
            Some((r, s, jwk))
        });
        let (r, s, jwk) = found.expect("every second number is a point's x");
        Self { input, jwk: published(curve, jwk, &kid), r, s }
    }
}

fn published(curve: &Curve, jwk: Value, kid: &str) -> Value {
    with(jwk, &[("kid", json!(kid)), ("alg", json!(curve.alg))])
}

fn count(from: BigUint, step: impl Fn(&BigUint) -> BigUint) -> impl Iterator<Item = BigUint> {
    std::iter::successors(Some(from), move |number| Some(step(number)))
}
