//! Shared by the project's commands: the wasm32-wasip1 toolchain, the module, and running other programs.

pub mod process;
pub mod repository;
pub mod toolchain;
pub mod wasm;
