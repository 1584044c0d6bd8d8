//! Rendered references with their places, by which they are found again in another render.

use std::collections::BTreeMap;

use crate::render::images::Image;

/// Where in a rendered chart a reference is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    template: String,
    kind: String,
    field: String,
    /// The object's name; none where it does not count.
    name: Option<String>,
    /// Which one it is of those that are the same otherwise.
    nth: usize,
}

/// The references of one render by their places, in the order of the places.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    by_spot: BTreeMap<Spot, (Image, Spot)>,
    /// By the places without the names of objects, which can hang on a marked value.
    unnamed: BTreeMap<Spot, String>,
}

impl Seen {
    pub(super) fn new(images: Vec<Image>) -> Self {
        let mut seen = Self::default();
        let mut counts: BTreeMap<Spot, usize> = BTreeMap::new();
        let mut counted = |mut spot: Spot| {
            let count = counts.entry(spot.clone()).or_default();
            *count += 1;
            spot.nth = *count;
            spot
        };
        for image in images {
            let named = Spot {
                template: image.template.clone(),
                kind: image.kind.clone(),
                field: image.field.clone(),
                name: Some(image.name.clone()),
                nth: 0,
            };
            let unnamed = counted(Spot {
                name: None,
                ..named.clone()
            });
            seen.unnamed
                .insert(unnamed.clone(), image.reference.clone());
            seen.by_spot.insert(counted(named), (image, unnamed));
        }
        seen
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Spot, &Image)> {
        self.by_spot.iter().map(|(spot, (image, _))| (spot, image))
    }

    /// The reference that another render of the same chart has at the place of one of this render. Where no object
    /// has that name any more, objects are told apart by their order.
    pub(super) fn found_in<'s>(&self, other: &'s Self, spot: &Spot) -> Option<&'s str> {
        if let Some((image, _)) = other.by_spot.get(spot) {
            return Some(&image.reference);
        }
        let (_, unnamed) = self.by_spot.get(spot)?;
        other.unnamed.get(unnamed).map(String::as_str)
    }
}
