//! EC2: the endpoints of a VPC.

use super::signed::{Call, EC2};
use super::{Aws, Error};

/// The most pages of endpoints that are read.
const MOST_PAGES: usize = 20;

/// An endpoint of a VPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VpcEndpoint {
    /// Such as `com.amazonaws.eu-west-1.ecr.dkr`.
    pub service: String,
    /// `Interface` or `Gateway`.
    pub kind: String,
    /// Such as `available`.
    pub state: String,
    /// Whether the service's own name leads to it.
    pub private_dns: bool,
    /// How many route tables lead to it; a gateway needs some.
    pub route_tables: usize,
}

impl Aws {
    /// The endpoints of a VPC.
    ///
    /// # Errors
    /// When EC2 refuses; the permission is `ec2:DescribeVpcEndpoints`.
    pub async fn vpc_endpoints(&self, region: &str, vpc: &str) -> Result<Vec<VpcEndpoint>, Error> {
        let call = Call {
            service: EC2,
            action: "ec2:DescribeVpcEndpoints",
            resource: vpc,
            region,
        };
        let mut input = vec![
            ("Filter.1.Name".to_owned(), "vpc-id".to_owned()),
            ("Filter.1.Value.1".to_owned(), vpc.to_owned()),
        ];
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.call_query(&call, &input).await?;
            let items = answer.items("vpcEndpointSet").iter();
            found.extend(items.map(|item| {
                let text = |name: &str| item.text_of(name).unwrap_or_default().to_owned();
                VpcEndpoint {
                    service: text("serviceName"),
                    kind: text("vpcEndpointType"),
                    state: text("state"),
                    private_dns: text("privateDnsEnabled") == "true",
                    route_tables: item.items("routeTableIdSet").len(),
                }
            }));
            let Some(token) = answer.text_of("nextToken") else {
                break;
            };
            input.truncate(2);
            input.push(("NextToken".to_owned(), token.to_owned()));
        }
        Ok(found)
    }
}
