//! The services that speak the query protocol, a form in and XML out: STS, IAM and EC2.

use super::account::Account;
use super::error::{Failure, xml_answer};
use super::service::Service;
use crate::server::body::Body;
use crate::server::header;
use crate::text::{pairs, xml_escape};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

/// Whether a request speaks the query protocol.
pub(super) fn is_query(head: &Parts) -> bool {
    let content_type = header(&head.headers, "content-type").unwrap_or_default();
    content_type.starts_with("application/x-www-form-urlencoded")
}

/// A form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        Self(pairs(&String::from_utf8_lossy(body)))
    }

    pub(super) fn get(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }

    /// The values of a list.
    fn list(&self, prefix: &str) -> Vec<&str> {
        let values = (1..).map(|number| self.get(&format!("{prefix}.{number}")));
        values.take_while(|value| !value.is_empty()).collect()
    }

    /// Which service it is for: each has its own version.
    pub(super) fn service(&self) -> Service {
        match self.get("Version") {
            "2010-05-08" => Service::Iam,
            "2016-11-15" => Service::Ec2,
            _ => Service::Sts,
        }
    }

    pub(super) fn resource(&self) -> String {
        let named = [self.get("PolicySourceArn"), self.get("Filter.1.Value.1")];
        named.concat()
    }

    pub(super) fn respond(&self, account: &Account) -> Result<Response<Body>, Failure> {
        let action = self.get("Action");
        let result = match action {
            "GetCallerIdentity" => format!(
                "<Arn>{}</Arn><UserId>AIDALAB</UserId><Account>{}</Account>",
                xml_escape(&account.arn),
                account.number,
            ),
            "AssumeRole" => concat!(
                "<AssumedRoleUser><AssumedRoleId>AROALAB:lab</AssumedRoleId>",
                "<Arn>arn:aws:sts::123456789012:assumed-role/lab/lab</Arn></AssumedRoleUser>",
                "<Credentials><AccessKeyId>ASIALAB</AccessKeyId><SecretAccessKey>lab</SecretAccessKey>",
                "<SessionToken>lab</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>",
            )
            .to_owned(),
            "SimulatePrincipalPolicy" => self.simulate(account),
            "DescribeVpcEndpoints" => {
                let body = format!("<requestId>lab</requestId>{}", self.endpoints(account));
                return Ok(response(
                    action,
                    "http://ec2.amazonaws.com/doc/2016-11-15/",
                    &body,
                ));
            }
            _ => {
                let why = format!("the lab has no {action}");
                return Err(Failure::new(400, "InvalidAction", why));
            }
        };
        let namespace = match self.service() {
            Service::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            _ => "https://sts.amazonaws.com/doc/2011-06-15/",
        };
        let metadata = "<ResponseMetadata><RequestId>lab</RequestId></ResponseMetadata>";
        let body = format!("<{action}Result>{result}</{action}Result>{metadata}");
        Ok(response(action, namespace, &body))
    }

    /// Everything is allowed but what [`super::Aws::deny`] named.
    fn simulate(&self, account: &Account) -> String {
        let state = account.state();
        let resource = xml_escape(self.get("ResourceArns.member.1"));
        let actions = self.list("ActionNames.member");
        let results = actions.iter().map(|action| {
            let decision = if state.denied.contains(*action) {
                "implicitDeny"
            } else {
                "allowed"
            };
            format!(
                "<member><EvalActionName>{action}</EvalActionName>\
                 <EvalResourceName>{resource}</EvalResourceName>\
                 <EvalDecision>{decision}</EvalDecision></member>"
            )
        });
        let results: String = results.collect();
        format!("<IsTruncated>false</IsTruncated><EvaluationResults>{results}</EvaluationResults>")
    }

    fn endpoints(&self, account: &Account) -> String {
        let vpc = self.get("Filter.1.Value.1");
        let state = account.state();
        let of_vpc = state.vpc_endpoints.iter().filter(|(of, ..)| of == vpc);
        let items = of_vpc.map(|(_, service, kind)| {
            let tables = if kind == "Gateway" {
                "<item>rtb-1</item>"
            } else {
                ""
            };
            format!(
                "<item><vpcEndpointType>{kind}</vpcEndpointType><vpcId>{vpc}</vpcId>\
                 <serviceName>{service}</serviceName><state>available</state>\
                 <routeTableIdSet>{tables}</routeTableIdSet>\
                 <privateDnsEnabled>{}</privateDnsEnabled></item>",
                kind == "Interface"
            )
        });
        format!(
            "<vpcEndpointSet>{}</vpcEndpointSet>",
            items.collect::<String>()
        )
    }
}

fn response(action: &str, namespace: &str, body: &str) -> Response<Body> {
    let xml = format!("<{action}Response xmlns=\"{namespace}\">{body}</{action}Response>");
    xml_answer(StatusCode::OK, &xml)
}
