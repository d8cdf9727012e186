//! Which line owns which tag, where several lines name it: the first in `[sweep]`'s order.

use std::collections::{BTreeMap, BTreeSet};

use refit_oci::Reference;

use crate::{
    inventory::Inventory,
    reason::{State, StateKind},
};

/// The tags that were claimed so far, line by line.
#[derive(Debug, Default)]
pub struct Claims {
    owners: BTreeMap<Reference, String>,
}

/// What a line may not write.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Tags that another line owns.
    pub states: Vec<State>,
    /// Images whose lead is among them: nothing of them is published from this line.
    pub images: BTreeSet<String>,
}

impl Claims {
    /// Claims a line's tags for it, and takes from its images those that an earlier line owns. An image that lost its
    /// lead keeps all of them, and claims none behind it: it is that other line's image. Tags decide edges: where
    /// there are states, those of the inventory are to be made again.
    pub fn claim(&mut self, line: &str, inventory: &mut Inventory) -> Claimed {
        let mut claimed = Claimed::default();
        for image in &mut inventory.images {
            let Some(lead) = image.lead_tag() else {
                continue;
            };
            let mut lost = BTreeSet::new();
            for tag in image.moving_tags() {
                let owner = self.owners.entry(tag.clone());
                let owner = owner.or_insert_with(|| line.to_owned());
                if owner == line {
                    continue;
                }
                lost.extend(tag.tag().map(str::to_owned));
                claimed.states.push(State {
                    image: image.name.clone(),
                    platform: None,
                    kind: StateKind::Claimed {
                        tag: tag.clone(),
                        line: owner.clone(),
                    },
                });
                if tag == lead {
                    claimed.images.insert(image.name.clone());
                    break;
                }
            }
            if !claimed.images.contains(&image.name) {
                image.tags.retain(|tag| !lost.contains(tag.as_str()));
            }
        }
        claimed
    }
}

#[cfg(test)]
mod tests {
    use refit_oci::Tag;

    use super::*;
    use crate::inventory::{self, Files};

    /// One image a line of the text, `NAME TAG…`.
    fn inventory_of(images: &str) -> Inventory {
        let entries = images.lines().map(|image| {
            let (name, tags) = image.split_once(' ').unwrap_or((image, ""));
            let tags: Vec<&str> = tags.split_whitespace().collect();
            format!("[[image]]\nname = \"{name}\"\ntags = {tags:?}\n")
        });
        let entries: Vec<String> = entries.collect();
        let config = format!(
            "version = 1\npush-to = [\"r.example/t\"]\n{}",
            entries.concat()
        );
        let paths = BTreeSet::from([".config/refit.toml", "Dockerfile"].map(str::to_owned));
        let read = |path: &str| {
            let is_config = path.starts_with(".config/");
            let text = if is_config { &config } else { "FROM a\n" };
            Some(text.as_bytes().to_vec())
        };
        let files = Files {
            paths: &paths,
            read: &read,
            name: "repo",
            line: "main",
        };
        inventory::read(&files)
    }

    /// Line after line: what each lost to which, the images that it does not publish, and the tags that are left.
    fn check(lines: &[(&str, &str, &[&str])]) {
        let mut claims = Claims::default();
        for (line, images, expect) in lines {
            let mut inventory = inventory_of(images);
            assert_eq!(inventory.problems, []);
            let claimed = claims.claim(line, &mut inventory);
            let lost = claimed.states.iter().map(|state| match &state.kind {
                StateKind::Claimed { tag, line } => {
                    format!(
                        "{} {} is {line}'s",
                        state.image,
                        tag.tag().unwrap_or_default()
                    )
                }
                other => format!("{other:?}"),
            });
            let left = inventory.images.iter().map(|image| {
                let theirs = claimed.images.contains(&image.name);
                let mark = if theirs { "not published: " } else { "" };
                let tags: Vec<&str> = image.tags.iter().map(Tag::as_str).collect();
                format!("{mark}{} {}", image.name, tags.join(" "))
            });
            let told: Vec<String> = lost.chain(left).collect();
            assert_eq!(told, *expect, "{line}");
        }
    }

    #[test]
    fn the_first_line_that_names_a_tag_owns_it() {
        check(&[
            ("main", "web latest", &["web latest"]),
            (
                "release",
                "web 1.4 latest stable",
                &["web latest is main's", "web 1.4 stable"],
            ),
            // What a line lost it does not own either.
            (
                "old",
                "web 1.3 latest",
                &["web latest is main's", "web 1.3"],
            ),
            (
                "older",
                "web 1.2 stable",
                &["web stable is release's", "web 1.2"],
            ),
        ]);
    }

    #[test]
    fn an_image_that_lost_its_lead_is_not_published_and_claims_nothing_else() {
        check(&[
            (
                "main",
                "api latest\nweb latest",
                &["api latest", "web latest"],
            ),
            (
                "release",
                "api 1.4\nweb latest 1.4",
                &[
                    "web latest is main's",
                    "api 1.4",
                    "not published: web latest 1.4",
                ],
            ),
            ("old", "web 1.4", &["web 1.4"]),
        ]);
    }

    #[test]
    fn a_line_that_comes_twice_and_an_image_without_tags_lose_nothing() {
        check(&[
            ("main", "api\nweb latest", &["api ", "web latest"]),
            ("main", "web latest", &["web latest"]),
            ("old", "api\nweb 1", &["api ", "web 1"]),
        ]);
    }
}
