//! Clippy in the place of the compiler.

use std::process::Command;

/// Has cargo compile the packages of the workspace by Clippy's driver, which is the compiler with more lints and without
/// optimizations of its middle representation. Every warning is an error. The module and the released command are never
/// compiled by it.
///
/// `cargo clippy` checks without compiling, so that cargo reads all packages once more for the tests. On two cores and in
/// empty target folders, `cargo build --workspace --all-targets` with these variables and `cargo doc --workspace --no-deps
/// --document-private-items` took 515 s of CPU time; with `cargo clippy --workspace --all-targets` before, and without the
/// variables, 644 s.
pub fn compiles(cargo: &mut Command) -> &mut Command {
    cargo.envs(VARIABLES)
}

/// What `cargo clippy` sets too. Not RUSTFLAGS, which would be for dependencies too, some of which are compiled already.
const VARIABLES: [(&str, &str); 2] =
    [("RUSTC_WORKSPACE_WRAPPER", "clippy-driver"), ("CLIPPY_ARGS", "-Dwarnings")];

#[cfg(test)]
mod tests {
    use std::fs;

    use xtask::repository;

    use super::*;

    #[test]
    fn code_that_clippy_warns_of_does_not_compile() {
        let package = repository::target().join("tmp/clippy");
        fs::create_dir_all(package.join("src")).expect("a folder");
        fs::write(
            package.join("Cargo.toml"),
            "[package]\nname = \"warned\"\nedition = \"2024\"\n[workspace]\n",
        )
        .expect("a manifest");
        fs::write(
            package.join("src/lib.rs"),
            "pub fn f(v: &[u8]) -> bool {\n    v.len() == 0\n}\n",
        )
        .expect("a source");
        let mut cargo = repository::cargo("build");
        cargo.args(["--offline", "--manifest-path"]).arg(package.join("Cargo.toml"));
        let answer = compiles(&mut cargo).env("CARGO_TERM_COLOR", "never").output().expect("cargo");
        let stderr = String::from_utf8_lossy(&answer.stderr);
        assert!(!answer.status.success(), "{stderr}");
        assert!(stderr.contains("error: length comparison to zero"), "{stderr}");
        assert!(stderr.contains("`-D clippy::len-zero` implied by `-D warnings`"), "{stderr}");
    }
}
