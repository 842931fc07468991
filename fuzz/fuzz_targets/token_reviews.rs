//! Any bytes for the answer to a TokenReview: nobody is vouched for unless it says so.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use sa_authn::authn::issuer::IssuerIdentity;
use sa_authn::authn::token_review::judge;
use sa_authn::config::Config;
use sa_authn_fuzz::genuine::{FILTER, ISSUER};
use sa_authn_fuzz::world::{config, inline};
use serde_json::{Value, json};

thread_local! {
    static ISSUERS: Rc<IssuerIdentity> = {
        let config = config(inline(), json!({})).to_string();
        let mut issuers = Config::parse(config.as_bytes()).expect("a configuration").issuers;
        Rc::new(issuers.remove(0).0)
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(accepted) = ISSUERS.with(|issuer| judge(201, bytes, issuer)) else { return };
    // A string that nobody asks for may hold half of a surrogate pair; this parser reads it all the same.
    let Ok(review) = serde_json::from_slice::<Value>(bytes) else { return };
    let status = &review["status"];
    assert_eq!(status["authenticated"], json!(true));
    let username = format!("system:serviceaccount:{}:{}", accepted.namespace(), accepted.name());
    assert_eq!(status["user"]["username"], json!(username));
    assert!(!accepted.namespace().is_empty() && !accepted.name().is_empty());
    let audiences = status["audiences"].as_array().expect("the core found audiences");
    assert!(audiences.contains(&json!(accepted.audience())));
    assert!([FILTER, ISSUER].contains(&accepted.audience()));
});
