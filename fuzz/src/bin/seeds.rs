//! `seeds FOLDER`: writes a folder of seeds for each target.

use std::fs;
use std::io::Result;
use std::path::Path;

// For what the compiler's instrumentation calls.
use libfuzzer_sys as _;
use sa_authn_fuzz::targets::TARGETS;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).expect("a folder to write to");
    for target in TARGETS {
        let folder = Path::new(&folder).join(target.name);
        fs::create_dir_all(&folder)?;
        for (at, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(folder.join(format!("recorded-{at:02}")), seed)?;
        }
    }
    Ok(())
}
