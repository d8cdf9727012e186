//! `stale-when`: a command of the user's that says whether a published manifest is stale, such as a scanner's.
//!
//! Exit code 1 is stale, 0 is fine, and anything else is an error of the check, which decides nothing. The command and
//! what it is run on are told here; running it is the caller's.

use refit_oci::{Digest, Platform, Repository};

/// A placeholder's name, and what stands there then.
type Placeholder = (&'static str, fn(&CheckKey) -> String);

/// What a word of the command may contain.
pub const PLACEHOLDERS: [Placeholder; 4] = [
    ("Image", |key| {
        format!("{}@{}", key.repository, key.manifest)
    }),
    ("Digest", |key| key.manifest.to_string()),
    ("Name", |key| key.image.clone()),
    ("Platform", |key| key.platform.to_string()),
];

/// A published manifest that is checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckKey {
    /// The image's name.
    pub image: String,
    /// The target's platform.
    pub platform: Platform,
    /// Where it is published.
    pub repository: Repository,
    /// The platform's manifest.
    pub manifest: Digest,
}

/// What the command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Exit code 0.
    Fine,
    /// Exit code 1.
    Stale,
    /// The repository's commands were not accepted, so it was not run.
    NotAccepted,
    /// It could not be run, or ended in another way.
    Failed(String),
}

/// The command for a manifest: every placeholder, `{{.Image}}` or `{{ .Image }}`, replaced.
pub fn command(words: &[String], key: &CheckKey) -> Vec<String> {
    let fill = |word: &String| {
        PLACEHOLDERS
            .iter()
            .fold(word.clone(), |word, (name, value)| {
                let value = value(key);
                word.replace(&format!("{{{{.{name}}}}}"), &value)
                    .replace(&format!("{{{{ .{name} }}}}"), &value)
            })
    };
    words.iter().map(fill).collect()
}

/// The first placeholder of a word that is none of ours.
pub(crate) fn unknown_placeholder(word: &str) -> Option<&str> {
    let mut rest = word;
    while let Some(start) = rest.find("{{") {
        let end = rest[start..].find("}}").map(|end| start + end + 2)?;
        let inner = rest[start + 2..end - 2].trim();
        let known = PLACEHOLDERS
            .iter()
            .any(|(name, _)| inner.strip_prefix('.') == Some(name));
        if !known {
            return Some(&rest[start..end]);
        }
        rest = &rest[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_wherever_they_stand() {
        let key = CheckKey {
            image: "web".to_owned(),
            platform: Platform::linux_arm64(),
            repository: "r.io/team/web".parse().unwrap(),
            manifest: Digest::sha256(b"web"),
        };
        let words = [
            "scan",
            "--platform={{.Platform}}",
            "{{ .Image }}",
            "{{.Name}}:{{.Digest}}",
        ];
        let filled = command(&words.map(str::to_owned), &key);
        let digest = Digest::sha256(b"web");
        assert_eq!(
            filled,
            [
                "scan".to_owned(),
                "--platform=linux/arm64".to_owned(),
                format!("r.io/team/web@{digest}"),
                format!("web:{digest}"),
            ]
        );
    }

    #[test]
    fn an_unknown_placeholder_is_found() {
        for (word, unknown) in [
            ("{{.Image}}", None),
            ("{{ .Image }}/{{.Name}}", None),
            ("{{.Imgae}}", Some("{{.Imgae}}")),
            ("{{.Name}}{{ .Run.ID }}", Some("{{ .Run.ID }}")),
            ("{{open", None),
            ("plain", None),
        ] {
            assert_eq!(unknown_placeholder(word), unknown, "{word}");
        }
    }
}
