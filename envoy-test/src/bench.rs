//! What benchmarks measure with: callers and an upstream that cost little themselves, and what a process used.

mod caller;
mod process;
mod upstream;

pub use caller::{Answer, Caller};
pub use process::Process;
pub use upstream::BareUpstream;
