//! Genuinely signed tokens with issuers, accounts and audiences that look like those of others.

use serde_json::json;

use super::{NO_ACCOUNT, UNKNOWN_ISSUER, Vector, WRONG_AUDIENCE};
use crate::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, Token};

pub(super) fn rows() -> Vec<Vector> {
    [issuers(), accounts(), subjects(), audiences()].into_iter().flatten().collect()
}

fn issuers() -> Vec<Vector> {
    let issuers = [
        format!("{DEFAULT_ISSUER}/"),
        format!("{DEFAULT_ISSUER}."),
        format!("{DEFAULT_ISSUER} "),
        format!(" {DEFAULT_ISSUER}"),
        format!("{DEFAULT_ISSUER}\0"),
        format!("{DEFAULT_ISSUER}\n"),
        format!("{DEFAULT_ISSUER}#"),
        format!("{DEFAULT_ISSUER}\u{200b}"),
        format!("{DEFAULT_ISSUER}:443"),
        DEFAULT_ISSUER.to_uppercase(),
        DEFAULT_ISSUER.replace("https", "HTTPS"),
        DEFAULT_ISSUER.replace("https", "http"),
        DEFAULT_ISSUER.replace('k', "\u{212a}"),
        DEFAULT_ISSUER.replace('e', "\u{435}"),
        DEFAULT_ISSUER.replace("default", "d\u{435}fault"),
        DEFAULT_ISSUER.replace("local", "loca\u{ff4c}"),
        DEFAULT_ISSUER.replace("svc", "sv\u{441}"),
        DEFAULT_ISSUER[..DEFAULT_ISSUER.len() - 1].to_owned(),
        String::new(),
        "*".to_owned(),
    ];
    let row = |issuer: String| {
        Vector::new(format!("issuer {issuer:?}"), UNKNOWN_ISSUER, move |attacker| {
            attacker.wanted().issuer(&issuer).sign(attacker.key)
        })
    };
    issuers.into_iter().map(row).collect()
}

/// Names that are no names of service accounts, in `sub` and in `kubernetes.io`.
fn accounts() -> Vec<Vector> {
    let accounts = [
        ("OPS", "admin"),
        ("ops", "Admin"),
        ("\u{ff4f}ps", "admin"),
        ("op\u{455}", "admin"),
        ("ops\u{200b}", "admin"),
        ("ops", "admin\0"),
        ("ops", "admin "),
        ("ops ", "admin"),
        ("ops", "admin\n"),
        ("ops", ""),
        ("", "admin"),
        ("ops:admin", "x"),
        ("ops", "admin:x"),
        ("ops/admin", "x"),
        ("*", "*"),
        ("ops", "*"),
        ("..", "admin"),
        ("ops", "admin\u{301}"),
        ("ops.x", "admin"),
        ("-ops", "admin"),
        ("ops", "a..b"),
        ("ops", "a_b"),
    ];
    let row = |(namespace, name): (&'static str, &'static str)| {
        Vector::new(format!("account {namespace:?} / {name:?}"), NO_ACCOUNT, move |attacker| {
            Token::for_service_account(namespace, name).sign(attacker.key)
        })
    };
    accounts.into_iter().map(row).collect()
}

/// Subjects that look like that of the account in `kubernetes.io`.
fn subjects() -> Vec<Vector> {
    let mut rows = Vec::new();
    for subject in [
        "",
        "api",
        "system:serviceaccount:{ns}",
        "system:serviceaccount:{ns}:",
        "system:serviceaccount::{name}",
        "system:serviceaccount:{ns}:{name}:",
        "system:serviceaccount:{ns}:{name}:x",
        "system:serviceaccount:{ns}:{name} ",
        " system:serviceaccount:{ns}:{name}",
        "system:serviceaccount:{ns}:{name}\0",
        "system:serviceaccount:{ns}:{name}\n",
        "system:serviceaccount:{ns}:\u{430}pi",
        "system:serviceaccount:\u{ff41}pi:{name}",
        "system:serviceaccount:{ns}:{name}\u{200b}",
        "system:serviceaccount:{ns}:API",
        "system:serviceaccount:{ns}/x:{name}",
        "system:serviceaccount:*:*",
        "system:serviceaccount:{ns}:%61pi",
        "system:serviceaccounts:{ns}:{name}",
        "System:serviceaccount:{ns}:{name}",
        "system:node:node-1",
        "system:anonymous",
        "system:masters",
    ] {
        rows.push(Vector::new(format!("subject {subject:?}"), NO_ACCOUNT, move |attacker| {
            let (namespace, name) = attacker.account;
            let subject = subject.replace("{ns}", namespace).replace("{name}", name);
            attacker.wanted().claim("sub", json!(subject)).sign(attacker.key)
        }));
    }
    rows
}

fn audiences() -> Vec<Vector> {
    let audiences = [
        format!("{DEFAULT_AUDIENCE} "),
        format!("{DEFAULT_AUDIENCE}/"),
        format!("{DEFAULT_AUDIENCE}\0"),
        format!("{DEFAULT_AUDIENCE},second"),
        DEFAULT_AUDIENCE.replace('-', "\u{2010}"),
        String::new(),
        "*".to_owned(),
    ];
    let row = |audience: String| {
        Vector::new(format!("audience {audience:?}"), WRONG_AUDIENCE, move |attacker| {
            attacker.wanted().audience(&audience).sign(attacker.key)
        })
    };
    audiences.into_iter().map(row).collect()
}
