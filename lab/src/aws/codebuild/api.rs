//! The actions of CodeBuild's API.

use super::record::{Fate, Record, State};
use super::{Builds, Home, Phase, Status, process};
use crate::aws::account::Account;
use crate::aws::error::Failure;
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a call is about: the project, or ids of builds.
pub(in crate::aws) fn resource(input: &Value) -> String {
    let text = |key: &str| input[key].as_str().map(str::to_owned);
    let named = text("projectName").or_else(|| text("id"));
    named.unwrap_or_else(|| ids(input).collect::<Vec<_>>().join(","))
}

pub(in crate::aws) fn handle(
    account: &Account,
    action: &str,
    input: &Value,
) -> Result<Value, Failure> {
    match action {
        "StartBuild" => account.builds.start_build(input),
        "BatchGetBuilds" => account.builds.batch_get_builds(input),
        "StopBuild" => account.builds.stop_build(input),
        _ => Err(Failure::new(
            400,
            "UnknownOperationException",
            format!("the lab has no {action}"),
        )),
    }
}

impl Builds {
    fn start_build(&self, input: &Value) -> Result<Value, Failure> {
        let mut state = self.state();
        let project = input["projectName"].as_str().unwrap_or_default();
        if !state.has_project(project) {
            return Err(not_found(&format!("Project cannot be found: {project}")));
        }
        check(input)?;
        if let Some(earlier) = same_token(&state, input)? {
            return Ok(json!({"build": document(&self.0.home, earlier)}));
        }
        let count = state.places() + state.queued();
        if let Some(limit) = state.queue_limit.filter(|limit| count >= *limit) {
            let message = format!("Cannot have more than {limit} builds in queue for the account");
            return Err(Failure::new(400, "AccountLimitExceededException", message));
        }
        let fate = if state.to_lose > 0 {
            state.to_lose -= 1;
            Fate::Lost
        } else if state.to_freeze > 0 {
            state.to_freeze -= 1;
            Fate::Frozen
        } else {
            Fate::Run
        };
        let record = state.add(project, fate, input.clone());
        let output = json!({"build": document(&self.0.home, record)});
        self.start_queued(&mut state);
        Ok(output)
    }

    fn batch_get_builds(&self, input: &Value) -> Result<Value, Failure> {
        let mut state = self.state();
        let asked: Vec<&str> = ids(input).collect();
        if !(1..=100).contains(&asked.len()) {
            return Err(invalid("ids must have 1 to 100 members"));
        }
        let (mut found, mut not_found) = (Vec::new(), Vec::new());
        for id in asked {
            match state.find(name_of(id)) {
                Some(record) => found.push(document(&self.0.home, record)),
                None => not_found.push(id),
            }
        }
        Ok(json!({"builds": found, "buildsNotFound": not_found}))
    }

    fn stop_build(&self, input: &Value) -> Result<Value, Failure> {
        let mut state = self.state();
        let id = input["id"].as_str().unwrap_or_default();
        let record = state.find(name_of(id));
        let record = record.ok_or_else(|| not_found(&format!("Build cannot be found: {id}")))?;
        record.end(Status::Stopped);
        let output = json!({"build": document(&self.0.home, record)});
        self.start_queued(&mut state);
        Ok(output)
    }
}

/// Refuses what CodeBuild would refuse.
fn check(input: &Value) -> Result<(), Failure> {
    let within = |key: &str, range: RangeInclusive<u64>| {
        let value = &input[key];
        if value.is_null() || value.as_u64().is_some_and(|value| range.contains(&value)) {
            return Ok(());
        }
        let (least, most) = (range.start(), range.end());
        Err(invalid(&format!("{key} must be from {least} to {most}")))
    };
    within("timeoutInMinutesOverride", 5..=2160)?;
    within("queuedTimeoutInMinutesOverride", 5..=480)?;
    let variables = input["environmentVariablesOverride"].as_array();
    for variable in variables.into_iter().flatten() {
        let kind = variable["type"].as_str().unwrap_or("PLAINTEXT");
        let name = variable["name"].as_str().unwrap_or_default();
        if kind != "PLAINTEXT" || name.is_empty() || !variable["value"].is_string() {
            return Err(invalid(&format!(
                "the lab cannot make an environment variable of {variable}"
            )));
        }
    }
    Ok(())
}

/// The build that was started with the token of this input.
fn same_token<'a>(state: &'a State, input: &Value) -> Result<Option<&'a Record>, Failure> {
    let Some(token) = input["idempotencyToken"].as_str() else {
        return Ok(None);
    };
    let mut earlier = state.records.iter();
    match earlier.find(|record| record.input["idempotencyToken"] == token) {
        Some(record) if record.input != *input => Err(invalid(
            "the idempotency token was used with other parameters",
        )),
        found => Ok(found),
    }
}

/// A build as the API shows it.
fn document(home: &Home, record: &Record) -> Value {
    let input = &record.input;
    let or = |key: &str, usual: &str| input[key].as_str().unwrap_or(usual).to_owned();
    let variables = input["environmentVariablesOverride"].as_array();
    let mut build = json!({
        "id": record.id,
        "arn": process::arn(home, record),
        "buildNumber": record.number,
        "buildStatus": record.status.as_str(),
        "buildComplete": record.phase == Phase::Completed,
        "currentPhase": record.phase.as_str(),
        "projectName": record.project,
        "initiator": home.caller,
        "startTime": seconds(record.started),
        "timeoutInMinutes": input["timeoutInMinutesOverride"].as_u64().unwrap_or(60),
        "queuedTimeoutInMinutes": input["queuedTimeoutInMinutesOverride"].as_u64().unwrap_or(480),
        "source": {
            "type": or("sourceTypeOverride", "NO_SOURCE"),
            "buildspec": or("buildspecOverride", ""),
        },
        "environment": {
            "type": or("environmentTypeOverride", "LINUX_CONTAINER"),
            "image": process::image(record),
            "computeType": or("computeTypeOverride", "BUILD_GENERAL1_SMALL"),
            "environmentVariables": variables.cloned().unwrap_or_default(),
        },
    });
    if let Some(ended) = record.ended {
        build["endTime"] = seconds(ended).into();
    }
    build
}

fn ids(input: &Value) -> impl Iterator<Item = &str> {
    let listed = input["ids"].as_array().into_iter().flatten();
    listed.filter_map(Value::as_str)
}

/// The build's id in its ARN.
fn name_of(id: &str) -> &str {
    id.split_once(":build/").map_or(id, |(_, name)| name)
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

fn invalid(message: &str) -> Failure {
    Failure::new(400, "InvalidInputException", message)
}

fn not_found(message: &str) -> Failure {
    Failure::new(400, "ResourceNotFoundException", message)
}
