//! The kinds of problems, each with a code, a severity and a section of docs/check.md.

use sa_authn::config::Problem;

/// How serious a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration works, but probably not as intended.
    Warning,
    /// The filter or Envoy rejects the configuration, or it does not protect the application.
    Error,
}

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Syntax,
    DuplicateField,
    UnknownField,
    WrongType,
    UnknownValue,
    NullValue,
    MissingField,
    OutOfRange,
    Placeholder,
    InvalidAccount,
    InvalidPattern,
    InvalidHeader,
    InvalidAuthority,
    InvalidKeys,
    DuplicateName,
    NoEffect,
    UnreachableRule,
    InvalidValue,
    ConfigurationForm,
    PastedConfiguration,
    HelmTemplate,
    FailOpen,
    IssuerWithoutScheme,
    RawTcpOpen,
    ServicePortNotHttp,
    FilterChainWithoutFilter,
    RouteOpens,
    MissingGuard,
    ModuleWithoutDigest,
    WorkloadNotEnrolled,
}

// === impl Severity ===

impl Severity {
    /// The name in all output formats.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

// === impl Kind ===

impl Kind {
    /// Every kind, in the order of docs/check.md.
    pub const ALL: [Self; 30] = [
        Self::Syntax,
        Self::DuplicateField,
        Self::UnknownField,
        Self::WrongType,
        Self::UnknownValue,
        Self::NullValue,
        Self::MissingField,
        Self::OutOfRange,
        Self::Placeholder,
        Self::InvalidAccount,
        Self::InvalidPattern,
        Self::InvalidHeader,
        Self::InvalidAuthority,
        Self::InvalidKeys,
        Self::DuplicateName,
        Self::NoEffect,
        Self::UnreachableRule,
        Self::InvalidValue,
        Self::ConfigurationForm,
        Self::PastedConfiguration,
        Self::HelmTemplate,
        Self::FailOpen,
        Self::IssuerWithoutScheme,
        Self::RawTcpOpen,
        Self::ServicePortNotHttp,
        Self::FilterChainWithoutFilter,
        Self::RouteOpens,
        Self::MissingGuard,
        Self::ModuleWithoutDigest,
        Self::WorkloadNotEnrolled,
    ];

    /// The code, which is stable.
    pub fn code(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::DuplicateField => "duplicate-field",
            Self::UnknownField => "unknown-field",
            Self::WrongType => "wrong-type",
            Self::UnknownValue => "unknown-value",
            Self::NullValue => "null-value",
            Self::MissingField => "missing-field",
            Self::OutOfRange => "out-of-range",
            Self::Placeholder => "placeholder",
            Self::InvalidAccount => "invalid-account",
            Self::InvalidPattern => "invalid-pattern",
            Self::InvalidHeader => "invalid-header",
            Self::InvalidAuthority => "invalid-authority",
            Self::InvalidKeys => "invalid-keys",
            Self::DuplicateName => "duplicate-name",
            Self::NoEffect => "no-effect",
            Self::UnreachableRule => "unreachable-rule",
            Self::InvalidValue => "invalid-value",
            Self::ConfigurationForm => "configuration-form",
            Self::PastedConfiguration => "pasted-configuration",
            Self::HelmTemplate => "helm-template",
            Self::FailOpen => "fail-open",
            Self::IssuerWithoutScheme => "issuer-without-scheme",
            Self::RawTcpOpen => "raw-tcp-open",
            Self::ServicePortNotHttp => "service-port-not-http",
            Self::FilterChainWithoutFilter => "filter-chain-without-filter",
            Self::RouteOpens => "route-opens",
            Self::MissingGuard => "missing-guard",
            Self::ModuleWithoutDigest => "module-without-digest",
            Self::WorkloadNotEnrolled => "workload-not-enrolled",
        }
    }

    /// The severity.
    pub fn severity(self) -> Severity {
        match self {
            Self::HelmTemplate
            | Self::IssuerWithoutScheme
            | Self::RawTcpOpen
            | Self::ServicePortNotHttp
            | Self::FilterChainWithoutFilter
            | Self::RouteOpens
            | Self::MissingGuard
            | Self::ModuleWithoutDigest
            | Self::WorkloadNotEnrolled => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The section of the documentation, relative to the root of the repository.
    pub fn docs(self) -> String {
        format!("docs/check.md#{}", self.code())
    }

    /// The kind of a problem that the filter's own parser found.
    pub fn of(problem: &Problem) -> Self {
        let (path, message) = (problem.path.as_str(), problem.message.as_str());
        let says = |pieces: &[&str]| pieces.iter().any(|piece| message.contains(piece));
        let begins = |pieces: &[&str]| pieces.iter().any(|piece| message.starts_with(piece));
        let field = path.rsplit('.').next().unwrap_or_default();
        let field = field.split('[').next().unwrap_or_default();
        match () {
            () if begins(&["duplicate member"]) => Self::DuplicateField,
            () if path.is_empty() => Self::Syntax,
            () if begins(&["unknown field"]) => Self::UnknownField,
            () if begins(&["unknown variant"]) => Self::UnknownValue,
            () if begins(&["invalid type"]) => Self::WrongType,
            () if begins(&["must not be null"]) => Self::NullValue,
            () if says(&["a placeholder was not replaced"]) => Self::Placeholder,
            () if begins(&["unreachable"]) => Self::UnreachableRule,
            () if says(&["must be unique", "is already the", "duplicate "]) => Self::DuplicateName,
            () if says(&["no effect", "not used if", "are not fetched", "empty condition"]) => {
                Self::NoEffect
            }
            () if path.starts_with("identityHeaders") || path.starts_with("tokenFrom[") => {
                Self::InvalidHeader
            }
            () if says(&["expected one of"]) => Self::UnknownValue,
            () if field == "authority" => Self::InvalidAuthority,
            () if ["keys", "inline", "pem"].contains(&field) => Self::InvalidKeys,
            () if begins(&["must not be empty", "required"]) => Self::MissingField,
            () if begins(&["must be at", "must be from", "must be more", "must be shorter"]) => {
                Self::OutOfRange
            }
            () if begins(&["kubernetesRBAC is only"]) => Self::InvalidValue,
            () if ["allow", "deny"].contains(&field) => Self::InvalidAccount,
            () if ["hosts", "paths", "methods", "ports"].contains(&field) => Self::InvalidPattern,
            () => Self::InvalidValue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_has_a_section_with_the_severity_of_each_kind() {
        let page = include_str!("../../../docs/check.md");
        let sections: Vec<_> = page.split("\n### ").skip(1).collect();
        let documented: Vec<_> = sections
            .iter()
            .filter_map(|section| {
                let mut lines = section.lines();
                let code = lines.next()?;
                let text = lines.find(|line| !line.is_empty())?;
                Some((code, text.split(['.', ' ']).next()?.to_lowercase()))
            })
            .collect();
        let expected =
            Kind::ALL.map(|kind| (kind.code(), kind.severity().name().to_owned())).to_vec();
        assert_eq!(documented, expected);
    }
}
