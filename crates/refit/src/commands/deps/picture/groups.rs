//! Leaves that are built on the very same things: drawn as one box, with one line to each of them.

use std::collections::BTreeMap;

use super::model::{Link, Picture, Stroke};

/// Fewer leaves are drawn one by one.
const FEWEST: usize = 3;
/// In a picture with more nodes than this, what leaves take from outside beside their base does not keep them apart.
const MANY: usize = 150;

/// The groups, each sorted, by their first nodes.
pub(super) fn groups(picture: &Picture) -> Vec<Vec<usize>> {
    let mut parents: Vec<Vec<&Link>> = vec![Vec::new(); picture.nodes.len()];
    let mut is_leaf: Vec<bool> = picture.nodes.iter().map(|node| node.is_image).collect();
    for link in &picture.links {
        parents[link.to].push(link);
        is_leaf[link.from] = false;
    }
    let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (number, node) in picture.nodes.iter().enumerate() {
        if !is_leaf[number] || picture.focus.as_ref() == Some(&node.name) {
            continue;
        }
        let decides = |link: &&&Link| {
            picture.nodes.len() <= MANY
                || link.stroke() == Stroke::Base
                || picture.nodes[link.from].is_image
        };
        let on: Vec<_> = parents[number]
            .iter()
            .filter(decides)
            .map(|link| (link.from, link.stroke(), link.inferred))
            .collect();
        alike.entry(on).or_default().push(number);
    }
    let mut groups: Vec<Vec<usize>> = alike.into_values().collect();
    groups.retain(|group| group.len() >= FEWEST);
    groups.sort();
    groups
}

#[cfg(test)]
mod tests {
    use super::{super::model::Node, *};

    fn picture(links: &[(usize, usize, &'static str)]) -> Picture {
        let nodes = (0..12).map(|number| Node {
            name: format!("n{number}"),
            is_image: number > 0,
            ..Node::default()
        });
        let links = links.iter().map(|&(from, to, kind)| Link {
            from,
            to,
            kinds: vec![kind],
            ..Link::default()
        });
        Picture {
            nodes: nodes.collect(),
            links: links.collect(),
            ..Picture::default()
        }
    }

    #[test]
    fn leaves_on_the_same_things_are_one_group() {
        let mut links: Vec<_> = (1..9).map(|to| (0, to, "base")).collect();
        links.push((8, 9, "base")); // 8 is no leaf
        links.push((9, 7, "copy")); // 7 takes something else
        assert_eq!(groups(&picture(&links)), [vec![1, 2, 3, 4, 5, 6]]);
    }

    #[test]
    fn few_leaves_and_the_image_in_question_stand_alone() {
        let mut two = picture(&[(0, 1, "base"), (0, 2, "base")]);
        two.nodes.truncate(3);
        assert!(groups(&two).is_empty());
        let links: Vec<_> = (1..12).map(|to| (0, to, "base")).collect();
        let mut focused = picture(&links);
        focused.focus = Some("n3".to_owned());
        assert_eq!(groups(&focused), [vec![1, 2, 4, 5, 6, 7, 8, 9, 10, 11]]);
    }
}
