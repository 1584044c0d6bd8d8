//! Completions and man pages, made from the definitions of the help.

use std::process::{Command, Stdio};

use super::Result;
use super::run::Run;

/// The shells, each with the command that checks a script's syntax.
const SHELLS: [(&str, &[&str]); 4] = [
    ("bash", &["bash", "-n"]),
    ("zsh", &["zsh", "-n"]),
    ("fish", &["fish", "--no-execute"]),
    ("powershell", &[]),
];

async fn script(shell: &str) -> String {
    let run = Run::new().args(["completions", shell]);
    run.run().await.ended(0).stdout
}

#[tokio::test]
async fn every_shell_gets_a_script_that_offers_all_commands_and_no_hidden_one() {
    let help = Run::new().arg("--help").run().await.ended(0).stdout;
    let (_, listed) = help.split_once("Commands:\n").expect("a list of commands");
    let listed: Vec<&str> = listed
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(listed.contains(&"deploy") && listed.contains(&"completions"));
    for (shell, _) in SHELLS {
        let script = script(shell).await;
        for command in &listed {
            assert!(script.contains(command), "{shell}: no {command}");
        }
        assert!(
            !script.contains("The run's order") && !script.contains("another build's run"),
            "{shell}: the hidden command"
        );
        assert!(script.contains("registry-prefix"), "{shell}");
    }
}

#[tokio::test]
async fn installed_shells_accept_their_script() -> Result {
    let mut checked = 0;
    for (shell, check) in SHELLS {
        let Some((program, args)) = check.split_first() else {
            continue;
        };
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("script");
        std::fs::write(&path, script(shell).await)?;
        let mut command = Command::new(program);
        command.args(args).arg(&path).stdin(Stdio::null());
        match command.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(
                    output.status.success() && said.is_empty(),
                    "{shell}: {said}"
                );
                checked += 1;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    assert!(checked > 0, "bash is everywhere");
    Ok(())
}

#[tokio::test]
async fn bash_completes_commands_and_values() -> Result {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("script");
    std::fs::write(&path, script("bash").await)?;
    for (words, cword, wanted) in [
        ("replicator dep", 1, "deploy"),
        ("replicator completions z", 2, "zsh"),
        ("replicator deploy --registry-p", 2, "--registry-prefix"),
    ] {
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={cword}; _replicator replicator \
             \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$((COMP_CWORD-1))]}}\"; echo \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        let output = Command::new("bash").arg("-c").arg(ask).output()?;
        let offered = String::from_utf8_lossy(&output.stdout);
        assert_eq!(offered.trim(), wanted, "{words}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_shell_is_bad_input() {
    let run = Run::new()
        .args(["completions", "tcsh"])
        .run()
        .await
        .ended(2);
    assert!(run.stderr.contains("bash"), "{}", run.stderr);
}
