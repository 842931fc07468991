//! Configurations of other systems and templates, in place of a plugin configuration.

/// Another system that authenticates service accounts.
struct System {
    /// Texts that identify its configuration.
    marks: &'static [&'static str],
    /// Fields of its configuration that the plugin does not have.
    fields: &'static [&'static str],
    name: &'static str,
    guide: &'static str,
}

/// What to do with a field of another system.
pub fn field(name: &str) -> Option<String> {
    let system = SYSTEMS.iter().find(|system| system.fields.contains(&name))?;
    Some(format!("this is a field of {}; {}", system.name, remedy(system)))
}

/// What to do with a file that contains the configuration of another system.
pub fn file(content: &str) -> Option<String> {
    let found = |system: &&System| system.marks.iter().any(|mark| content.contains(mark));
    let system = SYSTEMS.iter().find(found)?;
    Some(format!("the file contains a configuration of {}; {}", system.name, remedy(system)))
}

fn remedy(system: &System) -> String {
    format!("`sa-authn convert FILE` converts it, see {}", system.guide)
}

/// Whether a text is a Helm template. JSON and YAML files can contain `{{` in strings, but not these.
pub fn is_helm_template(content: &str) -> bool {
    content.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).any(|action| {
        let action = action.trim_start_matches('-').trim_start();
        ACTIONS.iter().any(|word| action.starts_with(word)) || action.contains(".Values.")
    })
}

/// Whether a text could be meant for sa-authn.
pub fn names_sa_authn(content: &str) -> bool {
    ["sa-authn", "sa_authn", "issuers"].iter().any(|mark| content.contains(mark))
}

const SYSTEMS: [System; 3] = [
    System {
        marks: &["kind: RequestAuthentication", "jwtRules"],
        fields: &[
            "jwtRules",
            "jwksUri",
            "jwks_uri",
            "fromHeaders",
            "fromParams",
            "forwardOriginalToken",
            "outputClaimToHeaders",
            "outputPayloadToHeader",
        ],
        name: "Istio's RequestAuthentication",
        guide: "docs/from-request-authentication.md",
    },
    System {
        marks: &["jwt_authn", "remote_jwks", "remoteJwks", "local_jwks", "localJwks"],
        fields: &[
            "providers",
            "requirement_map",
            "requirementMap",
            "remote_jwks",
            "remoteJwks",
            "local_jwks",
            "localJwks",
            "from_headers",
            "bypass_cors_preflight",
            "bypassCorsPreflight",
            "requires",
        ],
        name: "Envoy's jwt_authn",
        guide: "docs/from-jwt-authn.md",
    },
    System {
        marks: &["kube-rbac-proxy", "resourceAttributes"],
        fields: &["authorization", "resourceAttributes"],
        name: "kube-rbac-proxy",
        guide: "docs/from-token-review.md",
    },
];

const ACTIONS: [&str; 11] = [
    ".Values",
    ".Release",
    ".Chart",
    "include ",
    "template ",
    "toYaml",
    "tpl ",
    "if ",
    "range ",
    "with ",
    "end",
];
