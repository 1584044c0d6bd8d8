//! Tables, and what is printed like one, at 80 and at 140 columns.

use expect_test::expect_file;
use lab::aws::Aws;
use lab::image::Image;

use crate::Result;
use crate::content::mirrored;
use crate::ecr::seed_farmer;
use crate::run::{Finished, Run};

use super::{Volatile, World, several_charts};

#[tokio::test]
async fn a_plan_is_a_table() -> Result {
    let world = several_charts().await?;
    for (width, expected) in [
        ("80", expect_file!["plan-80.txt"]),
        ("140", expect_file!["plan-140.txt"]),
        ("40", expect_file!["plan-40.txt"]),
    ] {
        let planned = world.run("plan").env("COLUMNS", width).run().await.ended(1);
        let table = planned.stdout.split("\n\n").nth(1);
        let table = table.unwrap_or_else(|| panic!("{}", planned.stderr));
        let most: usize = width.parse()?;
        for line in table.lines().filter(|line| !line.starts_with('(')) {
            assert!(line.chars().count() <= most, "{width}: {line}");
        }
        expected.assert_eq(&world.volatile().settle(&planned, &planned.stdout));
    }
    let run = world.run("plan").args(["-o", "wide"]);
    let planned = run.env("COLUMNS", "80").run().await.ended(1);
    let shown = world.volatile().settle(&planned, &planned.stdout);
    expect_file!["plan-wide.txt"].assert_eq(&shown);
    Ok(())
}

/// Without the rows about this machine, whose figures are its own.
fn without_machine(table: &str) -> String {
    let mut is_left_out = false;
    let mut shown = String::new();
    for line in table.lines() {
        if !line.starts_with(' ') {
            let check = line.split_whitespace().nth(1);
            is_left_out = matches!(check, Some("disk" | "memory"));
        }
        if !is_left_out {
            shown = shown + line + "\n";
        }
    }
    shown
}

/// What a command prints of a chart of several, and on which messages.
struct Tables {
    world: World,
    aws: Aws,
    shown: String,
}

impl Tables {
    fn volatile(&self) -> Volatile {
        self.world
            .volatile()
            .with(self.aws.host(), "aws.corp")
            .with(
                self.aws.ecr_host(),
                "123456789012.dkr.ecr.us-east-1.amazonaws.com",
            )
    }

    async fn add(&mut self, title: &str, run: Run, width: &str) -> Finished {
        let done = run.env("COLUMNS", width).run().await;
        let code = done.code.expect("no signal");
        let said = self.volatile().settle(&done, &done.stderr);
        let printed = self
            .volatile()
            .settle(&done, &without_machine(&done.stdout));
        self.shown = format!(
            "{}# {title}\n\n{}\n{}\nexit code {code}\n\n\n",
            self.shown,
            printed.trim_end(),
            said.trim_end()
        );
        done
    }
}

#[track_caller]
fn fits(table: &str, width: &str) {
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest <= width.parse().ok(), "{table}");
}

#[tokio::test]
async fn every_other_table_has_its_snapshot() -> Result {
    for (width, expected) in [
        ("80", expect_file!["tables-80.txt"]),
        ("140", expect_file!["tables-140.txt"]),
    ] {
        let (world, aws) = (several_charts().await?, Aws::start().await?);
        Image::new().push(&world.source, "team/gone", "1")?;
        let mut tables = Tables {
            world,
            aws,
            shown: String::new(),
        };
        tables.aws.deny("ecr:PutImage");
        let doctor = seed_farmer(tables.world.run_without_target("doctor"));
        let doctor = doctor.envs(tables.aws.env());
        let checked = tables.add("doctor", doctor, width).await;
        fits(&checked.stdout, width);

        let lock = tables.world.run_without_target("lock");
        tables.add("lock", lock, width).await;
        super::image(17).push(&tables.world.source, "team/agent", "2")?;
        let diff = tables
            .world
            .given_to(Run::new().args(["diff", "1.34.lock.json", "1.34"]));
        tables
            .add("diff", diff.current_dir(tables.world.folder()), width)
            .await;

        let deployed = tables.world.run("deploy").run().await.ended(0);
        let result = deployed.out().join("replication_result.json");
        let list = format!("{}/mirror/", tables.world.target.host());
        let list = Run::new().args(["ls", &list, "--result"]).arg(&result);
        let listed = tables.add("ls --result", list, width).await;
        fits(
            listed.stdout.split("\n\n").next().unwrap_or_default(),
            width,
        );
        tables
            .world
            .target
            .remove_manifest(&mirrored("team/cache"), "1");
        let verify = Run::new().arg("verify").arg("replication_result.json");
        let verify = verify.current_dir(deployed.out());
        tables.add("verify", verify, width).await;
        for command in ["images", "discover"] {
            let chart = Run::new().args([command, "cache", "--repo", "https://charts.corp"]);
            let chart = tables.world.with_endpoints(chart);
            tables.add(command, chart, width).await;
        }
        expected.assert_eq(&tables.shown);
    }
    Ok(())
}
