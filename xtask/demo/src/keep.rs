//! `--keep`: prints commands for the running stage, to be pasted into a shell.

use super::cases::{HEALTH, SECRET, SPOOFED};
use super::stage::{PLUGIN_CONFIG, PLUGIN_CONFIG_FILE, Stage};
use super::tokens;

/// Prints the configuration, the curl lines and where to look.
pub fn explain(stage: &Stage) {
    print!("{}", explanation(stage));
}

fn explanation(stage: &Stage) -> String {
    let envoy = stage.envoy();
    let admin = format!("http://127.0.0.1:{}", envoy.admin_port());
    format!(
        "
Everything is still running. The filter's configuration ({PLUGIN_CONFIG_FILE}):

{PLUGIN_CONFIG}
To try it, paste this into another terminal. The token is valid for one hour.

TOKEN={token}

{curls}
Statistics:  {admin}/stats?filter=wasm
Envoy's log: {log}
Access log:  {access_log}

Press Ctrl-C to stop.
",
        token = tokens::good(stage.api_server(), "api", "api"),
        curls = curls(envoy.port()),
        log = envoy.log_path().display(),
        access_log = envoy.access_log_path().display(),
    )
}

fn curls(port: u16) -> String {
    let bearer = "-H \"Authorization: Bearer $TOKEN\"";
    let lines = [
        ("no token: 401 missing_token", String::new(), SECRET),
        ("the echo shows the request at the upstream", bearer.to_owned(), SECRET),
        ("the same token in X-Client-Id", "-H \"X-Client-Id: $TOKEN\"".to_owned(), SECRET),
        ("a forged x-sa-name is replaced", format!("{bearer} -H \"x-sa-name: {SPOOFED}\""), SECRET),
        (
            "a changed signature: 401 bad_signature",
            "-H \"Authorization: Bearer ${TOKEN%????}AAAA\"".to_owned(),
            SECRET,
        ),
        ("no rule allows POST: 403 forbidden", format!("-X POST {bearer}"), SECRET),
        ("open to anyone", String::new(), HEALTH),
    ];
    lines
        .iter()
        .map(|(what, options, path)| {
            let gap = if options.is_empty() { "" } else { " " };
            format!("# {what}\ncurl -i -w '\\n' {options}{gap}http://127.0.0.1:{port}{path}\n")
        })
        .collect()
}
