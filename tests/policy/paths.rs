//! Path patterns, and the path index compared with a linear search.

use super::World;
use crate::support::{inline, with};
use sa_authn::config::Config;
use serde_json::{Value, json};

/// xorshift64 with a fixed seed: the same patterns in every run.
struct Random(u64);

#[test]
fn path_pattern_matches_only_the_documented_paths() {
    for (pattern, covered, not_covered) in [
        ("/", &["/", "/?x"][..], &["/a", "/a/"][..]),
        ("/a", &["/a", "/a?x", "/%61"], &["/", "/a/", "/ab", "/a/b", "/A"]),
        ("/a/", &["/a/", "/%61/"], &["/a", "/a/b"]),
        ("/*", &["/", "/a", "/a/", "/a/b/c"], &[]),
        ("/a/*", &["/a/", "/a/b", "/a/b/", "/a/b/c"], &["/a", "/ab", "/b/a/c"]),
        ("/a/*/c", &["/a/b/c", "/a/*/c", "/a/.b/c"], &["/a/c", "/a/b/b/c", "/a/b/c/"]),
        ("/a/*/*", &["/a/b/", "/a/b/c", "/a/b/c/d"], &["/a/b", "/a/", "/a"]),
        ("/*/b", &["/a/b", "/*/b"], &["/b", "/a/b/", "/a/a/b"]),
        ("/a.b", &["/a.b", "/a%2eb", "/a%2Eb"], &["/aXb", "/a"]),
        ("/%20", &["/%20"], &["/", "/+"]),
        ("/a%2Bb", &["/a+b", "/a%2Bb", "/a%2bb"], &["/a%20b", "/ab", "/aab"]),
        ("/Users%281%29", &["/Users(1)", "/Users%281%29", "/Users(1%29"], &["/Users1", "/Users"]),
        ("/%24metadata", &["/$metadata", "/%24metadata"], &["/metadata", "/"]),
        ("/a:b", &["/a:b", "/a%3Ab"], &["/a", "/a/:b"]),
    ] {
        let rules = json!({ "rules": [{ "name": "r", "paths": [pattern], "allow": "anyone" }] });
        let mut world = World::new(rules);
        for path in covered {
            assert_eq!(world.judge("GET", path, ""), "r", "{pattern} covers {path}");
        }
        for path in not_covered {
            assert_eq!(world.judge("GET", path, ""), "missing_token", "{pattern}, not {path}");
        }
    }
}

/// Taken literally, such a pattern would match no request, and a `deny` by it would let every request pass.
#[test]
fn path_pattern_with_regex_or_template_syntax_is_rejected() {
    for pattern in [
        "/admin/(users|keys)",
        "/admin/.+",
        "/admin/.*",
        "/admin$",
        "/admin/[a-z]+",
        "/admin/[^/]",
        "/admin/^x",
        "/users/:id",
        "/users/:id/keys",
        "/users/{id}",
        "/users/<id>",
        "/users/%7Bid%7D",
        "/admin/%28a%7Cb%29",
        "/admin/%5Ba%5D",
        "/users/%3Aid",
    ] {
        for list in ["deny", "allow"] {
            let rules = json!([
                { "name": "admin", "paths": [pattern], (list): ["ops/admin"] },
                { "name": "rest", "paths": ["/*"], "allow": "authenticated" },
            ]);
            let config = with(inline(&[]), json!({ "rules": rules })).to_string();
            let problems = Config::parse(config.as_bytes()).map(|_| ()).expect_err(pattern);
            let place = problems.iter().find(|problem| problem.path == "rules[0].paths[0]");
            assert!(place.is_some(), "{pattern}: {problems:?}");
        }
    }
}

#[test]
fn escaped_pattern_matches_the_unescaped_path() {
    let mut world = World::new(json!({ "rules": [
        { "name": "one", "paths": ["/Users%281%29"], "deny": ["api/api"] },
        { "name": "export", "paths": ["/v1/x:export"], "allow": ["ops/admin"] },
        { "name": "rest", "paths": ["/*"], "allow": "authenticated" },
    ] }));
    for (path, expected) in [
        ("/Users(1)", "forbidden"),
        ("/Users%281%29", "forbidden"),
        ("/Users%281)", "forbidden"),
        ("/x/../Users(1)", "ambiguous_path"),
        ("/Users(2)", "rest"),
        ("/v1/x:export", "forbidden"),
        ("/v1/x%3Aexport", "forbidden"),
        ("/v1/x:import", "rest"),
    ] {
        assert_eq!(world.judge("GET", path, "api/api"), expected, "{path}");
    }
}

#[test]
fn path_index_finds_the_first_matching_rule() {
    let mut random = Random(7);
    for _ in 0..40 {
        let patterns: Vec<Vec<String>> =
            (0..30).map(|_| (0..=random.below(2)).map(|_| random.pattern()).collect()).collect();
        let (rules, unreachable) = reachable(&patterns);
        let mut world = World::new(json!({ "rules": rules }));
        for _ in 0..100 {
            let path = random.path();
            let first = patterns.iter().position(|paths| paths.iter().any(|p| covers(p, &path)));
            assert!(first.is_none_or(|at| !unreachable.contains(&at)), "{path} in {patterns:?}");
            let expected = first.map_or("missing_token".to_owned(), |at| at.to_string());
            assert_eq!(world.judge("GET", &path, ""), expected, "{path} in {patterns:?}");
        }
    }
}

/// RFC 3629: an upstream that decodes would have to guess what such bytes mean.
#[test]
fn escapes_that_are_not_utf8_make_the_path_ambiguous() {
    let mut world = World::new(json!({ "rules": [{ "paths": ["/*"], "allow": "anyone" }] }));
    assert_eq!(world.judge("GET", "/%c3%a9", ""), "rules[0]");
    for path in ["/%c3", "/%a9", "/%c3/%a9", "/%c3x%a9", "/%c3%41%a9", "/%e2%82x%ac", "/%c0%80"] {
        assert_eq!(world.judge("GET", path, ""), "ambiguous_path", "{path}");
    }
}

#[test]
fn path_index_of_10_000_rules_matches_exactly() {
    let rules: Vec<_> = (0..10_000)
        .map(|at| {
            let paths = [format!("/api/v{at}/*"), format!("/of/*/r{at}")];
            json!({ "name": format!("r{at}"), "paths": paths, "allow": "anyone" })
        })
        .collect();
    let mut world = World::new(json!({ "rules": rules }));
    assert_eq!(world.judge("GET", "/api/v9999/x", ""), "r9999");
    assert_eq!(world.judge("GET", "/of/any/r5000", ""), "r5000");
    assert_eq!(world.judge("GET", "/api/v10000/x", ""), "missing_token");
}

/// Rules for these patterns without the unreachable ones, and the indexes of the unreachable ones.
fn reachable(patterns: &[Vec<String>]) -> (Vec<Value>, Vec<usize>) {
    let rule = |(at, paths): (usize, &Vec<String>)| json!({ "name": at.to_string(), "paths": paths, "allow": "anyone" });
    let rules: Vec<_> = patterns.iter().enumerate().map(rule).collect();
    let config = with(inline(&[]), json!({ "rules": rules })).to_string();
    let problems = Config::parse(config.as_bytes()).err().unwrap_or_default();
    let is_unreachable = |at: &usize| {
        let problem = problems.iter().find(|problem| problem.path == format!("rules[{at}]"));
        problem.is_some_and(|problem| problem.message.contains("unreachable"))
    };
    let unreachable: Vec<_> = (0..rules.len()).filter(is_unreachable).collect();
    let kept = rules.into_iter().enumerate().filter(|(at, _)| !unreachable.contains(at));
    (kept.map(|(_, rule)| rule).collect(), unreachable)
}

/// A literal implementation, for patterns and paths in normal form.
fn covers(pattern: &str, path: &str) -> bool {
    let pattern: Vec<_> = pattern.split('/').skip(1).collect();
    let path: Vec<_> = path.split('/').skip(1).collect();
    let matches = |(want, is): (&&str, &&str)| want == is || (*want == "*" && !is.is_empty());
    match pattern.split_last() {
        Some((&"*", above)) => path.len() > above.len() && above.iter().zip(&path).all(matches),
        _ => pattern.len() == path.len() && pattern.iter().zip(&path).all(matches),
    }
}

// === impl Random ===

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }

    fn of(&mut self, words: &[&str]) -> String {
        let depth = 1 + self.below(4);
        (0..depth).map(|_| format!("/{}", words[self.below(words.len())])).collect()
    }

    fn pattern(&mut self) -> String {
        self.of(&["a", "b", "c", "*"])
    }

    fn path(&mut self) -> String {
        let path = self.of(&["a", "b", "c", "d"]);
        if self.below(5) == 0 { format!("{path}/") } else { path }
    }
}
