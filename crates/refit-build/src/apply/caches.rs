//! Where an image's layer caches are: one for each platform, as a build is.

use refit_deps::image::Image;
use refit_oci::{Platform, Reference};
use refit_registry::Registries;

use crate::engine::{CachePlace, Caches};

/// The caches of one target.
pub(super) fn of(image: &Image, platform: &Platform, registries: &Registries) -> Caches {
    let place = |reference: Reference| CachePlace {
        registry: registries.registry(reference.repository().registry()),
        reference,
    };
    let own = |reference: &Reference| of_platform(reference, platform).map(place);
    let from = image.cache_from.iter().map(|reference| {
        // What somebody else wrote may be one for all platforms, or an image.
        let whole = place(reference.clone());
        own(reference).into_iter().chain([whole]).collect()
    });
    Caches {
        from: from.collect(),
        to: image.cache_to.iter().filter_map(own).collect(),
        inline: image.cache_inline,
    }
}

/// `team/web:cache` for `linux/arm64` is `team/web:cache-linux-arm64`.
fn of_platform(reference: &Reference, platform: &Platform) -> Option<Reference> {
    let platform = platform.to_string().replace(['/', '(', ')'], "-");
    let tag = format!("{}-{platform}", reference.tag()?);
    reference.repository().tagged(&tag).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_a_cache_of_its_own() {
        let of = |reference: &str, platform: &str| {
            let reference: Reference = reference.parse().unwrap();
            of_platform(&reference, &platform.parse().unwrap()).map(|r| r.to_string())
        };
        assert_eq!(
            of("registry.example.com/team/web:cache", "linux/arm/v7").as_deref(),
            Some("registry.example.com/team/web:cache-linux-arm-v7")
        );
        let long = format!("registry.example.com/x:{}", "t".repeat(127));
        assert_eq!(of(&long, "linux/amd64"), None, "no tag is that long");
    }
}
