//! The table of signatures and keys with the core, where jwt-simple verifies.

use crate::support::{Core, Outcome, get};
use envoy_test::conformance::{Case, PASSES, Table, Verifier, differences, tables};

#[test]
fn every_signature_and_key_has_the_expected_verdict() {
    let mut failures = Vec::new();
    let mut count = 0;
    for Table { name, config, jwks, cases } in tables() {
        let mut core = Core::new(&config);
        core.publish(&jwks);
        let said: Vec<_> = cases.iter().map(|case| judge(&mut core, case)).collect();
        let differences = differences(Verifier::Native, &cases, &said);
        failures.extend(differences.into_iter().map(|difference| format!("{name}: {difference}")));
        count += cases.len();
    }
    println!("{count} cases");
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

fn judge(core: &mut Core, case: &Case) -> String {
    let mut request = core.request(&get("/", &case.token));
    let outcome = match request.arrives(core) {
        Outcome::Held => request.gives_up(core),
        outcome => outcome,
    };
    match outcome {
        Outcome::Passed(_) => PASSES.to_owned(),
        Outcome::Refused(reason) => reason.code().to_owned(),
        other => format!("{other:?}"),
    }
}
