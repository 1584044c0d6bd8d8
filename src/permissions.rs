//! The least privilege of the module's role, for given settings. Its one source is `modulestack.yaml`, which is
//! part of the program and is resolved as CloudFormation does it for a deployment.

mod prune;
mod scope;
mod template;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::reference::Prefix;

use template::Template;
pub use template::Unresolved;

const TEMPLATE: &str = include_str!("../modulestack.yaml");

/// The most characters of all inline policies of a role, white space not counted
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const MOST_INLINE: usize = 10_240;

/// The most characters of a managed policy, which a permissions boundary is.
pub const MOST_MANAGED: usize = 6_144;

/// What the permissions depend on.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// The partition, such as `aws-cn`.
    pub partition: String,
    /// The project.
    pub project: String,
    /// The deployment.
    pub deployment: String,
    /// `<group>-<module>`
    pub module: String,
    /// The name of the role.
    pub role: String,
    /// The prefix of the target, where it is not the project's.
    pub prefix: Option<Prefix>,
    /// The parameters that the template has, by its names for them.
    pub parameters: BTreeMap<String, String>,
}

/// What is allowed together.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its name, such as `Repositories`.
    pub sid: String,
    /// Such as `ecr:PutImage`.
    pub actions: Vec<String>,
    /// ARNs with wildcards, or `*`.
    pub resources: Vec<String>,
    /// The condition, as IAM writes it.
    pub condition: Option<Value>,
}

/// The permissions of a role.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy(pub Vec<Statement>);

impl Policy {
    /// What a deployment, a verification and a destruction with these settings need.
    ///
    /// # Errors
    /// When the template has something that is not known here, which tests exclude.
    pub fn of(scope: &Scope) -> Result<Self, Unresolved> {
        let given = [
            ("AWS::AccountId", &scope.account),
            ("AWS::Region", &scope.region),
            ("AWS::Partition", &scope.partition),
            ("ProjectName", &scope.project),
            ("DeploymentName", &scope.deployment),
            ("ModuleName", &scope.module),
            ("RoleName", &scope.role),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.clone()));
        let mut names = scope.parameters.clone();
        names.extend(given);
        let statements = Template::new(TEMPLATE, names)?.statements()?;
        let mut policy = Self(statements.iter().map(Statement::read).collect());
        if let Some(Prefix::Ecr { host, path }) = &scope.prefix {
            let repositories = |account: &str, region: &str, path: &str| {
                format!(
                    "arn:{}:ecr:{region}:{account}:repository/{path}*",
                    scope.partition
                )
            };
            let of_project = format!("{}-", scope.project.to_lowercase());
            let from = repositories(&scope.account, &scope.region, &of_project);
            policy.replace(&from, &repositories(&host.account, &host.region, path));
        }
        Ok(policy)
    }

    fn replace(&mut self, from: &str, to: &str) {
        for resource in self
            .0
            .iter_mut()
            .flat_map(|statement| &mut statement.resources)
        {
            if resource == from {
                to.clone_into(resource);
            }
        }
    }

    /// The same as a boundary of the module's role. A boundary limits what Seed-Farmer's own policies grant the
    /// build as well, so it also holds what every build of Seed-Farmer does: write its log, keep the module's
    /// metadata, and read and store bundles.
    #[must_use]
    pub fn boundary(mut self, scope: &Scope) -> Self {
        let Scope {
            account,
            region,
            partition,
            project,
            ..
        } = scope;
        let lower = project.to_lowercase();
        let arn = |service: &str, resource: &str| {
            format!("arn:{partition}:{service}:{region}:{account}:{resource}")
        };
        let group = format!("log-group:/aws/codebuild/codeseeder-{lower}");
        let own = |name: &str| format!("arn:{partition}:s3:::{name}");
        let builds = [
            (
                "BuildLog",
                &[
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:PutLogEvents",
                ][..],
                vec![arn("logs", &group), arn("logs", &format!("{group}:*"))],
            ),
            (
                "ModuleMetadata",
                &[
                    "ssm:DeleteParameter",
                    "ssm:DeleteParameters",
                    "ssm:GetParameter",
                    "ssm:GetParameters",
                    "ssm:GetParametersByPath",
                    "ssm:PutParameter",
                ],
                vec![
                    arn("ssm", &format!("parameter/{project}*")),
                    arn("ssm", &format!("parameter/{lower}*")),
                ],
            ),
            (
                "Bundles",
                &[
                    "s3:DeleteObject",
                    "s3:GetBucketLocation",
                    "s3:GetObject",
                    "s3:GetObjectVersion",
                    "s3:ListBucket",
                    "s3:PutObject",
                ],
                vec![
                    own(&format!("seedfarmer-{lower}*")),
                    own(&format!("codeseeder-{lower}*")),
                ],
            ),
            (
                "BundleKeys",
                &[
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:Encrypt",
                    "kms:GenerateDataKey*",
                    "kms:ReEncrypt*",
                ],
                vec![arn("kms", "key/*")],
            ),
            (
                "BuildSecrets",
                &["secretsmanager:GetSecretValue"],
                vec![
                    arn("secretsmanager", &format!("secret:codeseeder-{lower}-*")),
                    arn("secretsmanager", "secret:*-docker-credentials*"),
                    arn("secretsmanager", "secret:*-mirror-credentials*"),
                ],
            ),
            ("Identity", &["sts:GetCallerIdentity"], vec!["*".to_owned()]),
        ];
        let statements = builds
            .into_iter()
            .map(|(sid, actions, resources)| Statement {
                // The keys are those of the buckets.
                condition: (sid == "BundleKeys")
                    .then(|| json!({"StringLike": {"kms:ViaService": format!("s3.{region}.*")}})),
                ..Statement::new(sid, actions, resources)
            });
        self.0.extend(statements);
        self
    }

    /// The policy as IAM takes it.
    #[must_use]
    pub fn document(&self) -> Value {
        let statements: Vec<Value> = self.0.iter().map(Statement::document).collect();
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    /// The characters that IAM counts.
    #[must_use]
    pub fn size(&self) -> usize {
        let text = self.document().to_string();
        text.chars()
            .filter(|letter| !letter.is_whitespace())
            .count()
    }
}

impl Statement {
    fn new(sid: &str, actions: &[&str], resources: Vec<String>) -> Self {
        Self {
            sid: sid.to_owned(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources,
            condition: None,
        }
    }

    fn read(statement: &Value) -> Self {
        Self {
            sid: statement["Sid"].as_str().unwrap_or_default().to_owned(),
            actions: texts(&statement["Action"]),
            resources: texts(&statement["Resource"]),
            condition: statement.get("Condition").cloned(),
        }
    }

    fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("Sid".to_owned(), self.sid.as_str().into());
        document.insert("Effect".to_owned(), "Allow".into());
        document.insert("Action".to_owned(), self.actions.clone().into());
        document.insert("Resource".to_owned(), self.resources.clone().into());
        if let Some(condition) = &self.condition {
            document.insert("Condition".to_owned(), condition.clone());
        }
        Value::Object(document)
    }
}

/// A text or a list of texts, as IAM takes either.
fn texts(value: &Value) -> Vec<String> {
    let list = std::slice::from_ref(value);
    let list = value.as_array().map_or(list, Vec::as_slice);
    list.iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(parameters: &[(&str, &str)]) -> Scope {
        let parameters = parameters.iter();
        Scope {
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            partition: "aws".to_owned(),
            project: "MyProj".to_owned(),
            deployment: "dev".to_owned(),
            module: "replication-images".to_owned(),
            role: "a-role".to_owned(),
            prefix: None,
            parameters: parameters
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn find<'a>(policy: &'a Policy, sid: &str) -> Option<&'a Statement> {
        policy.0.iter().find(|statement| statement.sid == sid)
    }

    #[test]
    fn parameters_decide_what_is_granted() {
        let policy = Policy::of(&scope(&[("FanOut", " Off ")])).unwrap();
        assert_eq!(find(&policy, "Builds"), None);
        let repositories = find(&policy, "Repositories").unwrap();
        assert_eq!(
            repositories.resources,
            ["arn:aws:ecr:us-east-1:123456789012:repository/myproj-*"]
        );
        let delete = "ecr:DeleteRepository".to_owned();
        assert!(!repositories.actions.contains(&delete));
        let policy = Policy::of(&scope(&[("RetentionType", "Destroy")])).unwrap();
        assert!(
            find(&policy, "Repositories")
                .unwrap()
                .actions
                .contains(&delete)
        );
        assert!(find(&policy, "OwnRole").is_some());
    }

    #[test]
    fn another_prefix_is_another_resource() {
        let host = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/mirror/";
        let scope = Scope {
            prefix: Some(host.parse().unwrap()),
            ..scope(&[])
        };
        let policy = Policy::of(&scope).unwrap();
        assert_eq!(
            find(&policy, "Repositories").unwrap().resources,
            ["arn:aws:ecr:eu-west-1:210987654321:repository/mirror/*"]
        );
    }

    #[test]
    fn policy_and_boundary_fit_into_what_iam_takes() {
        let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let scope = scope(&[
            ("RetentionType", "DESTROY"),
            ("HelmRepoSecretName", "replication/sources"),
            ("ReplicatorDistroUrl", "s3://a-bucket/tools/replicator"),
            ("KmsKeyArn", key),
            ("AttestationKmsKeyArn", key),
            ("ImageTagMutability", "IMMUTABLE"),
            ("BlobMounting", "enable"),
        ]);
        let policy = Policy::of(&scope).unwrap();
        assert!(policy.size() < MOST_INLINE, "{}", policy.size());
        let boundary = policy.boundary(&scope);
        assert!(boundary.size() < MOST_MANAGED, "{}", boundary.size());
    }
}
