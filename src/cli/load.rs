//! `replicator load`

use super::deploy::Deploy;
use super::{Exit, Invocation};

/// Deploy what a bundle holds, without any other source
///
/// Does what `deploy` does, with a bundle of `replicator save` in place of data files, chart repositories and
/// registries: creates repositories, copies, proves and publishes. The whole bundle is checked before anything
/// is written, and every digest again while it is copied. `deploy --bundle` and the parameter `Bundle` are the same.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:
  replicator load bundle.tar --registry-prefix registry.corp:5000/eks/
  replicator load bundle.tar --registry-prefix 123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/idf- \\
      --project idf --deployment prod --module replication-images
  replicator load s3://bucket/bundle.tar --registry-prefix oci:mirror",
    mut_arg("bundle", |arg| arg.hide(true))
)]
pub(super) struct Load {
    /// The bundle: a file (of a split one, FILE or FILE.001), or `s3://BUCKET/KEY`
    #[arg(value_name = "BUNDLE", conflicts_with = "bundle")]
    file: String,
    #[command(flatten)]
    deploy: Deploy,
}

impl Load {
    pub(super) async fn run(&self, with: &Invocation<'_>) -> anyhow::Result<Exit> {
        let flags = self.deploy.flags().with("bundle", self.file.as_str());
        Box::pin(self.deploy.run_with(&flags, with)).await
    }
}
