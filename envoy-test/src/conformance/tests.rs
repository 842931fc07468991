use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::*;

/// Made once: it takes seconds.
pub(super) static TABLES: LazyLock<Vec<Table>> = LazyLock::new(tables);

/// A table that two runners share is worth nothing if one row can hide another.
#[test]
fn no_two_cases_have_one_name() {
    let mut seen = BTreeSet::new();
    for case in TABLES.iter().flat_map(|table| &table.cases) {
        assert!(seen.insert(case.name.clone()), "{} is there twice", case.name);
    }
}

#[test]
fn each_algorithm_has_cases_that_pass_and_cases_that_do_not() {
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
fn no_key_set_is_larger_than_the_filter_takes() {
    for table in TABLES.iter() {
        let set: Value = serde_json::from_str(&table.jwks).expect("a JWKS");
        let count = set["keys"].as_array().expect("keys").len();
        assert!(count <= 100, "{}: {count}", table.name);
    }
}

/// Two of these would make one case of two.
#[test]
fn no_token_of_a_table_is_there_twice() {
    for table in TABLES.iter() {
        let mut seen = BTreeMap::new();
        for case in &table.cases {
            let earlier = seen.insert(&case.token, &case.name);
            assert_eq!(earlier, None, "{} has its token", case.name);
        }
    }
}
