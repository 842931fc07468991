use super::*;

fn case(name: &str, expected: &'static str) -> Case {
    Case { name: name.to_owned(), token: String::new(), expected }
}

fn exception(case: &str, verifiers: &[Verifier], outcome: &str) -> Exception {
    let (case, outcome) = (case.to_owned(), outcome.to_owned());
    Exception { case, verifiers: verifiers.to_vec(), outcome, because: "why".to_owned() }
}

fn judged(exceptions: &[Exception], said: [&str; 2]) -> Vec<String> {
    let cases = [case("a right token", PASSES), case("a forged token", "bad_signature")];
    among(exceptions, Verifier::Native, &cases, &said.map(str::to_owned))
}

#[test]
fn expected_outcome_is_not_a_difference() {
    assert_eq!(judged(&[], [PASSES, "bad_signature"]), Vec::<String>::new());
}

#[test]
fn unexpected_success_is_distinguished_from_another_reason() {
    assert_eq!(
        judged(&[], ["expired", PASSES]),
        [
            "a right token: expired, not passes",
            "A TOKEN PASSES THAT MUST NOT: a forged token: passes, not bad_signature"
        ]
    );
}

#[test]
fn exception_applies_only_to_its_outcome_and_verifier() {
    let both = [Verifier::Native, Verifier::Envoy];
    assert_eq!(judged(&[exception("a forged *", &both, PASSES)], [PASSES, PASSES]), [""; 0]);
    let other = judged(&[exception("a forged token", &both, PASSES)], [PASSES, "expired"]);
    assert_eq!(other[0], "a forged token: expired, not bad_signature");
    let envoy = [exception("a forged token", &[Verifier::Envoy], PASSES)];
    assert_eq!(judged(&envoy, [PASSES, PASSES]).len(), 1);
}

#[test]
fn unused_exception_is_a_difference() {
    let idle = [exception("a forged token", &[Verifier::Native], PASSES)];
    assert_eq!(
        judged(&idle, [PASSES, "bad_signature"]),
        ["the exception \"a forged token\" (why) does not occur any more: take it out"]
    );
}

#[test]
fn each_exception_has_cases_and_a_reason() {
    let names: Vec<_> = crate::conformance::tests::TABLES
        .iter()
        .flat_map(|table| &table.cases)
        .map(|case| case.name.as_str())
        .collect();
    let exceptions: Vec<Exception> = serde_json::from_str(EXCEPTIONS).expect("the file");
    for Exception { case, because, verifiers, .. } in &exceptions {
        let start = case.trim_end_matches('*');
        assert!(names.iter().any(|name| name.starts_with(start)), "{case} is no case's name");
        assert!(because.len() > 10 && !verifiers.is_empty(), "{case}");
    }
}
