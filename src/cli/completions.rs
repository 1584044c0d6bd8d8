//! `replicator completions`

use clap::ValueEnum;
use clap_complete::aot;

use super::{Exit, Invocation, print};

/// Print a completion script for a shell
///
/// The script completes commands, options, their values and file names. It is made from the same definitions as
/// the help, so it matches this version of the program.
#[derive(Debug, clap::Args)]
#[command(after_help = "Install it for your user:
  bash:       replicator completions bash > ~/.local/share/bash-completion/completions/replicator
  zsh:        replicator completions zsh > \"${fpath[1]}/_replicator\"
  fish:       replicator completions fish > ~/.config/fish/completions/replicator.fish
  powershell: replicator completions powershell >> $PROFILE")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

impl Completions {
    pub(super) async fn run(&self, _: &Invocation<'_>) -> anyhow::Result<Exit> {
        let shell = match self.shell {
            Shell::Bash => aot::Shell::Bash,
            Shell::Zsh => aot::Shell::Zsh,
            Shell::Fish => aot::Shell::Fish,
            Shell::Powershell => aot::Shell::PowerShell,
        };
        let mut script = Vec::new();
        aot::generate(shell, &mut visible(), "replicator", &mut script);
        print(String::from_utf8(script)?).await?;
        Ok(Exit::Done)
    }
}

/// The definition of the command line without hidden commands, which a completion would offer.
fn visible() -> clap::Command {
    let all = super::definition();
    let shown = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    clap::Command::new("replicator")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(shown.cloned())
}
