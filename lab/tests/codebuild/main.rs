//! Builds of the CodeBuild stand-in, which really run.

use lab::aws::{Aws, Build, Phase, Status};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

mod commands;
mod ends;
mod places;

type Result<T = ()> = anyhow::Result<T>;

/// Calls an action: the status and the answer.
async fn call(aws: &Aws, action: &str, input: Value) -> Result<(u16, Value)> {
    let target = format!("CodeBuild_20161006.{action}");
    let request = Client::new().post(aws.url()).header("x-amz-target", target);
    let answer = request.body(input.to_string()).send().await?;
    let status = answer.status().as_u16();
    Ok((status, serde_json::from_slice(&answer.bytes().await?)?))
}

fn buildspec(commands: &[&str]) -> String {
    json!({"version": 0.2, "phases": {"build": {"commands": commands}}}).to_string()
}

/// Starts a build of the project `p` and gives its id.
async fn start(aws: &Aws, commands: &[&str]) -> Result<String> {
    let input = json!({"projectName": "p", "buildspecOverride": buildspec(commands)});
    let (status, answer) = call(aws, "StartBuild", input).await?;
    assert_eq!(status, 200, "{answer}");
    Ok(answer["build"]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// What the API says of a build.
async fn get(aws: &Aws, id: &str) -> Result<Value> {
    let (_, answer) = call(aws, "BatchGetBuilds", json!({"ids": [id]})).await?;
    Ok(answer["builds"][0].clone())
}

fn build(aws: &Aws, id: &str) -> Build {
    let mut builds = aws.builds().list().into_iter();
    builds.find(|build| build.id == id).expect("a known build")
}

async fn until(what: &str, happened: impl Fn() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for the end of a build.
async fn ended(aws: &Aws, id: &str) -> Status {
    until("the end of a build", || {
        let build = build(aws, id);
        build.phase == Phase::Completed && build.pid.is_none()
    })
    .await;
    build(aws, id).status
}

async fn account() -> Result<Aws> {
    let aws = Aws::start().await?;
    aws.put_project("p");
    Ok(aws)
}
