//! Tools for benchmarks: callers and an upstream with low overhead, and the resource usage of a process.

mod caller;
mod process;
mod upstream;

pub use caller::{Answer, Caller};
pub use process::Process;
pub use upstream::BareUpstream;
