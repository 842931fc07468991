//! The verdict, and its effects on the response or on the request to the upstream.

use super::judge::Lack;
use super::page::Page;
use super::{Answer, Case};
use crate::cli::reasons;
use sa_authn::authz::HeaderEdits;
use sa_authn::config::Settings;
use sa_authn::decision_log::DecisionLog;
use sa_authn::denial::Denial;
use sa_authn::exchange::Finished;
use sa_authn::verdict::{self, Verdict};
use serde_json::Value;

/// Adds the verdict. Returns the exit code and the errors.
pub fn add(case: &Case, page: &mut Page) -> (Answer, Vec<String>) {
    let settings = &case.config.settings;
    if let Some(lack) = case.judged.lacks {
        page.note("VERDICT", "indeterminate");
        return (Answer::No, vec![missing(lack).to_owned()]);
    }
    let Some(finished) = &case.judged.finished else {
        return (Answer::No, vec!["the request would be paused".to_owned()]);
    };
    let mut by =
        finished.rule.as_ref().map(|rule| format!(" by rule {rule:?}")).unwrap_or_default();
    by += case.judged.assumed.map(unchanged).unwrap_or_default();
    let answer = match &finished.verdict {
        Verdict::Allow(_, edits) => {
            page.note("VERDICT", format!("ALLOWED{by}"));
            caller(finished, page);
            upstream(edits, settings, page);
            Answer::Yes
        }
        Verdict::Shadow(permit, edits) => {
            page.note("VERDICT", format!("ALLOWED IN SHADOW MODE; would be denied{by}"));
            denial(permit.denial(), finished, settings, page);
            upstream(edits, settings, page);
            Answer::Yes
        }
        Verdict::Deny(denial) => {
            page.note("VERDICT", format!("DENIED: {}{by}", denial.reason().code()));
            self::denial(denial, finished, settings, page);
            Answer::No
        }
    };
    if let Some(lack) = case.judged.assumed {
        page.note("assumed", assumption(lack));
    } else if let Some(line) = DecisionLog::default().line(finished, case.now) {
        page.note("log", sorted(line));
    }
    (answer, Vec::new())
}

/// Sorts the members, because another crate of the build may enable `preserve_order` of serde_json.
fn sorted(line: String) -> String {
    let parsed = serde_json::from_str::<Value>(&line);
    parsed.map_or(line, |mut value| {
        value.sort_all_objects();
        value.to_string()
    })
}

fn unchanged(lack: Lack) -> &'static str {
    match lack {
        Lack::Review | Lack::Access => "; the missing review cannot change it",
        Lack::Keys | Lack::HostCrypto => "; the missing keys cannot change it",
    }
}

fn assumption(lack: Lack) -> &'static str {
    match lack {
        Lack::Review | Lack::Access => {
            "the API server accepts the token; otherwise the reason is another one"
        }
        Lack::Keys | Lack::HostCrypto => {
            "the keys verify the token; otherwise the reason is another one"
        }
    }
}

fn missing(lack: Lack) -> &'static str {
    match lack {
        Lack::Keys => {
            "the result depends on keys that the filter fetches at run time; pass them with --jwks \
             FILE (`kubectl get --raw /openid/v1/jwks` prints the keys of a cluster)"
        }
        Lack::Review => {
            "the result depends on a TokenReview; pass the API server's response with --review FILE \
             (`kubectl create -o json -f -` for a TokenReview prints it)"
        }
        Lack::Access => {
            "the result depends on Kubernetes RBAC; pass the API server's response to the \
             SubjectAccessReview with --access-review FILE (`kubectl create -o json -f -` prints it)"
        }
        Lack::HostCrypto => "the token is signed with ES512, which only Envoy can verify",
    }
}

fn denial(denial: &Denial, finished: &Finished, settings: &Settings, page: &mut Page) {
    let reason = denial.reason();
    page.note("reason", format!("{}: {}", reason.code(), denial.detail()));
    let answer = verdict::Answer::to(denial, finished.grpc, &settings.answers);
    page.note(
        "answer",
        format!("HTTP {} or gRPC {}: {}", answer.status, answer.grpc_status, answer.body),
    );
    page.note("remedy", reasons::remedy(reason));
}

fn caller(finished: &Finished, page: &mut Page) {
    match &finished.caller {
        Ok(caller) => page
            .note("caller", format!("{}, of issuer {:?}", caller.subject(), caller.issuer_name())),
        Err(denial) => {
            page.note("caller", format!("none: {}: {}", denial.reason().code(), denial.detail()));
        }
    }
    if let Some(why) = &finished.unreviewed {
        page.note("unreviewed", why.detail());
    }
    for rule in &finished.shadow_denied_by {
        page.note("shadow", format!("rule {rule:?} would deny the request"));
    }
}

/// Adds the changes of the headers, without other values in the header of the token, which may be secrets.
fn upstream(edits: &HeaderEdits, settings: &Settings, page: &mut Page) {
    for name in edits.removed() {
        page.note("upstream", format!("{} removed", String::from_utf8_lossy(name)));
    }
    for (name, value) in edits.set() {
        let told = settings.identity.headers.iter().any(|header| &*header.name == name);
        match told {
            true => page.note("upstream", format!("{name}: {}", String::from_utf8_lossy(value))),
            false => page.note("upstream", format!("{name}: token removed")),
        }
    }
    if settings.forward_token {
        page.note("upstream", "token forwarded (forwardToken)");
    }
}
