#![no_main]

use sa_authn_fuzz::targets::signed_claims::TARGET;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.check)(bytes));
