//! IAM: what a role would be allowed to do.

use super::signed::{Call, IAM};
use super::{Aws, Error};

/// The most actions of one simulation: its answer has a page of results.
const AT_ONCE: usize = 100;

/// The answer for one action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// Such as `ecr:PutImage`.
    pub action: String,
    /// The resource that was asked about.
    pub resource: String,
    /// `allowed`, `implicitDeny` or `explicitDeny`.
    pub decision: String,
    /// Whether a permissions boundary is what denies.
    pub by_boundary: bool,
    /// Whether a policy of the organisation is what denies.
    pub by_organization: bool,
}

impl Aws {
    /// Simulates actions on one resource, with the values of condition keys, for a user or role.
    ///
    /// # Errors
    /// When IAM refuses; the permission is `iam:SimulatePrincipalPolicy`.
    pub async fn simulate(
        &self,
        region: &str,
        principal: &str,
        (actions, resource): (&[String], &str),
        context: &[(String, String)],
    ) -> Result<Vec<Simulated>, Error> {
        let call = Call {
            service: IAM,
            action: "iam:SimulatePrincipalPolicy",
            resource: principal,
            region,
        };
        let mut found = Vec::new();
        for actions in actions.chunks(AT_ONCE) {
            let mut input = vec![
                ("PolicySourceArn".to_owned(), principal.to_owned()),
                ("ResourceArns.member.1".to_owned(), resource.to_owned()),
                ("MaxItems".to_owned(), "1000".to_owned()),
            ];
            for (number, action) in (1..).zip(actions) {
                input.push((format!("ActionNames.member.{number}"), action.clone()));
            }
            for (number, (key, value)) in (1..).zip(context) {
                let entry = |field: &str| format!("ContextEntries.member.{number}.{field}");
                input.push((entry("ContextKeyName"), key.clone()));
                input.push((entry("ContextKeyType"), "string".to_owned()));
                input.push((entry("ContextKeyValues.member.1"), value.clone()));
            }
            let answer = self.call_query(&call, &input).await?;
            let results = answer.items("EvaluationResults").iter();
            found.extend(results.map(|result| {
                let text = |name: &str| result.text_of(name).unwrap_or_default().to_owned();
                let denies = |detail: &str, field: &str| {
                    let detail = result.find(detail);
                    detail.and_then(|detail| detail.text_of(field)) == Some("false")
                };
                Simulated {
                    action: text("EvalActionName"),
                    resource: text("EvalResourceName"),
                    decision: text("EvalDecision"),
                    by_boundary: denies(
                        "PermissionsBoundaryDecisionDetail",
                        "AllowedByPermissionsBoundary",
                    ),
                    by_organization: denies(
                        "OrganizationsDecisionDetail",
                        "AllowedByOrganizations",
                    ),
                }
            }));
        }
        Ok(found)
    }
}
