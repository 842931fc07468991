use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::*;

/// Made once: it takes seconds.
pub(super) static TABLES: LazyLock<Vec<Table>> = LazyLock::new(tables);

/// Failures name the row, so its name must identify it.
#[test]
fn case_names_are_unique() {
    let mut seen = BTreeSet::new();
    for case in TABLES.iter().flat_map(|table| &table.cases) {
        assert!(seen.insert(case.name.clone()), "{} is there twice", case.name);
    }
}

#[test]
fn each_algorithm_has_passing_and_failing_cases() {
    for alg in ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"] {
        let count = |expected: &str| {
            let cases = TABLES.iter().flat_map(|table| &table.cases);
            cases.filter(|case| case.name.starts_with(alg) && case.expected == expected).count()
        };
        assert!(count(PASSES) >= 3 && count(BAD_SIGNATURE) >= 50, "{alg}");
    }
}

/// RFC 7517 has no limit, and the filter takes a hundred keys: beyond that no case would say anything.
#[test]
fn key_sets_are_within_the_limit_of_the_filter() {
    for table in TABLES.iter() {
        let set: Value = serde_json::from_str(&table.jwks).expect("a JWKS");
        let count = set["keys"].as_array().expect("keys").len();
        assert!(count <= 100, "{}: {count}", table.name);
    }
}

/// Two of these would make one case of two.
#[test]
fn tokens_of_a_table_are_unique() {
    for table in TABLES.iter() {
        let mut seen = BTreeMap::new();
        for case in &table.cases {
            let earlier = seen.insert(&case.token, &case.name);
            assert_eq!(earlier, None, "{} has its token", case.name);
        }
    }
}
