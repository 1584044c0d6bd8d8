//! What a data file says of a chart besides its images: what an operator starts, and fixed values.

use crate::inventory::OperatorImage;
use crate::problem::Problem;
use helm_chart::values::Overrides;
use oci_copy::reference::{ImageName, repository_path};

use super::Planner;
use super::context::{Context, Expected};

impl Planner<'_> {
    /// An image that the chart's operator starts becomes a copy, and the operator is given its registry.
    pub(super) fn operator_image(
        &mut self,
        context: &Context<'_>,
        image: &OperatorImage,
        overrides: &mut Overrides,
    ) -> Option<Expected> {
        let name = match named(context, image) {
            Ok(name) => name,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        self.image_copy(&name, &context.spec.key, &image.place);
        let place = context.top.place(image.registry_path.as_ref()?);
        let registry = self
            .prefix
            .join(&repository_path(name.registry.as_deref()?));
        let written = context.write(overrides, &place, &registry, &image.place);
        written.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// `overrides` of the data file, published as they are.
    pub(super) fn fixed_overrides(&mut self, context: &Context<'_>, overrides: &mut Overrides) {
        for (path, conflict) in overrides.write_all(&context.spec.overrides) {
            let what = format!(
                "`overrides` has another value for `{path}` than an image of {} needs, which is `{}` at `{}`",
                context.text(),
                conflict.text,
                conflict.path
            );
            let remedy = "remove it from `overrides`; `replication` changes an image's registry, repository or tag";
            self.problems
                .push(Problem::input(context.spec.place.as_str(), what).remedy(remedy));
        }
    }
}

/// The image's whole name: where the data file gives no tag, the operator takes the chart's appVersion.
fn named(context: &Context<'_>, image: &OperatorImage) -> Result<ImageName, Problem> {
    if image.name.tag.is_some() || image.name.digest.is_some() {
        return Ok(image.name.clone());
    }
    let version = &context.chart.metadata.app_version;
    let named = format!("{}:{version}", image.name);
    named.parse().map_err(|error| {
        let error: oci_copy::reference::InvalidName = error;
        let what = format!(
            "`{}` has no tag, and the appVersion of {} cannot be one: {error}",
            image.name,
            context.text()
        );
        Problem::input(image.place.as_str(), what).remedy("write the tag behind the image's name")
    })
}
