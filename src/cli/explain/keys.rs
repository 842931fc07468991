//! Keys from files, for issuers that fetch their keys at run time.

use super::{Failure, input};
use sa_authn::authn::issuer::KeySource;
use sa_authn::authn::keys::{KeySet, KeySetError, from_pem};
use sa_authn::config::Config;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::str::FromStr;

/// `FILE` or `NAME=FILE`.
#[derive(Clone, Debug)]
pub struct KeyFile(String);

/// Adds the keys to the issuer with the name, or to each issuer that fetches its keys.
pub fn provide(config: &mut Config, files: &[KeyFile]) -> Result<(), Failure> {
    for file in files {
        let names: Vec<_> =
            config.issuers.iter().map(|(issuer, _)| Rc::clone(&issuer.name)).collect();
        let (name, path) = file.split(&names);
        let keys = Rc::new(read(&path)?);
        for (issuer, source) in &mut config.issuers {
            let meant = match name {
                Some(name) => *issuer.name == *name && !matches!(source, KeySource::Absent),
                None => matches!(source, KeySource::Fetched(..)),
            };
            if meant {
                *source = KeySource::Static(Rc::clone(&keys));
            }
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<KeySet, Failure> {
    let text = input::read_text(file)?;
    let keys = if text.contains(PEM) {
        let blocks = text.split(PEM).skip(1).map(|block| from_pem(&format!("{PEM}{block}")));
        KeySet::from_keys(blocks.collect::<Vec<_>>().into_iter())
    } else {
        KeySet::parse(text.as_bytes())
    };
    keys.map_err(|error: KeySetError| Failure(format!("{}: {error}", input::name(file))))
}

// === impl KeyFile ===

impl KeyFile {
    /// Splits `NAME=FILE`. Both may contain `=`, so the names of the configuration take precedence.
    fn split<'n>(&self, names: &'n [Rc<str>]) -> (Option<&'n str>, PathBuf) {
        let named = names.iter().find_map(|name| {
            let path = self.0.strip_prefix(&**name)?.strip_prefix('=')?;
            Some((Some(&**name), PathBuf::from(path)))
        });
        named.unwrap_or_else(|| (None, PathBuf::from(&self.0)))
    }
}

impl FromStr for KeyFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

const PEM: &str = "-----BEGIN ";
