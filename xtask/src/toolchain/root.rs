//! Runs commands as root, or reports the commands to run by hand.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// Runs the commands as root, with sudo if it needs no password.
pub fn run_as_root(purpose: &str, commands: Vec<Command>) -> Result<()> {
    let sudo = match answers("id", &["-u"]).as_deref() {
        Some("0") => false,
        _ if answers("sudo", &["-n", "true"]).is_some() => true,
        _ => bail!("{purpose} needs root. {}", by_hand(&commands)),
    };
    for command in commands {
        process::run(&mut if sudo { with_sudo(&command) } else { command })?;
    }
    Ok(())
}

fn answers(program: &str, arguments: &[&str]) -> Option<String> {
    process::output(Command::new(program).args(arguments)).ok()
}

fn with_sudo(command: &Command) -> Command {
    let mut sudo = Command::new("sudo");
    sudo.arg("-n").arg(command.get_program()).args(command.get_args());
    sudo
}

fn by_hand(commands: &[Command]) -> String {
    let lines: Vec<_> = commands.iter().map(|c| format!("  {}", process::shown(c))).collect();
    format!("Run this as root, then the same command again:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_run_by_hand_are_shown() {
        let mut update = Command::new("apt-get");
        update.arg("update");
        assert!(by_hand(&[update]).ends_with("again:\n  apt-get update"));
    }
}
