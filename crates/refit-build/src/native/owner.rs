//! `--chown` and USER: numbers, or names that the image's own passwd and group files know.

/// A user, and perhaps a group, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerSpec {
    user: Who,
    group: Option<Who>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Number(u64),
    Name(String),
}

/// Who owns a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

/// A name that the image does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image's `{file}` has no `{name}`")]
pub(crate) struct UnknownName {
    file: &'static str,
    name: String,
}

/// The file that lists users.
pub(crate) const PASSWD: &str = "/etc/passwd";
/// The file that lists groups.
pub(crate) const GROUP: &str = "/etc/group";

impl OwnerSpec {
    /// Reads `user[:group]`; an empty part is root, as in BuildKit.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((user, group)) => Self {
                user: Who::parse(user),
                group: Some(Who::parse(group)),
            },
            None => Self {
                user: Who::parse(text),
                group: None,
            },
        }
    }

    /// Which of the two files have to be read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &'static str> {
        let passwd = matches!(self.user, Who::Name(_)).then_some(PASSWD);
        let group = matches!(self.group, Some(Who::Name(_))).then_some(GROUP);
        passwd.into_iter().chain(group)
    }

    /// Looks the names up. A user's number alone is the group's too; a user's name alone brings its group from passwd.
    ///
    /// BuildKit takes an unknown name for root. That never is what was meant, and no container could be started as
    /// such a user, so here it is an error.
    pub(crate) fn resolve(&self, passwd: &str, group: &str) -> Result<Owner, UnknownName> {
        let mut owner = match &self.user {
            Who::Number(number) => Owner {
                uid: *number,
                gid: *number,
            },
            Who::Name(name) => {
                let line = line_of(passwd, name).ok_or_else(|| UnknownName {
                    file: PASSWD,
                    name: name.clone(),
                })?;
                Owner {
                    uid: number(&line, 2),
                    gid: number(&line, 3),
                }
            }
        };
        match &self.group {
            None => {}
            Some(Who::Number(number)) => owner.gid = *number,
            Some(Who::Name(name)) => {
                let line = line_of(group, name).ok_or_else(|| UnknownName {
                    file: GROUP,
                    name: name.clone(),
                })?;
                owner.gid = number(&line, 2);
            }
        }
        Ok(owner)
    }
}

impl Who {
    fn parse(text: &str) -> Self {
        match text {
            "" | "root" => Self::Number(0),
            _ => match text.parse::<u32>() {
                Ok(number) if i32::try_from(number).is_ok() => Self::Number(number.into()),
                _ => Self::Name(text.to_owned()),
            },
        }
    }
}

/// The fields of the first line whose first field is `name`.
fn line_of<'t>(text: &'t str, name: &str) -> Option<Vec<&'t str>> {
    let lines = text
        .lines()
        .map(|line| line.trim().split(':').collect::<Vec<_>>());
    lines
        .into_iter()
        .find(|fields| fields.first() == Some(&name))
}

/// A field that is no number counts as 0, as in moby's parser.
fn number(fields: &[&str], at: usize) -> u64 {
    fields
        .get(at)
        .and_then(|field| field.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/sh\n app:x:100:101::/:\nnobody:x:65534:65534\nodd:x::\n";
    const GROUPS: &str = "root:x:0:\n# app:x:1:\napp:x:7:app,web\n";

    #[test]
    fn owners_are_numbers_or_names_of_the_image() {
        for (text, expect) in [
            ("1000", Some((1000, 1000))),
            ("1000:7", Some((1000, 7))),
            ("app", Some((100, 101))),
            ("app:app", Some((100, 7))),
            ("app:0", Some((100, 0))),
            ("app:", Some((100, 0))),
            (":app", Some((0, 7))),
            ("5:app", Some((5, 7))),
            ("root", Some((0, 0))),
            ("odd", Some((0, 0))),
            ("missing", None),
            ("app:missing", None),
            ("-1", None),
            ("99999999999", None),
        ] {
            let owner = OwnerSpec::parse(text).resolve(USERS, GROUPS);
            let got = owner.ok().map(|owner| (owner.uid, owner.gid));
            assert_eq!(got, expect, "{text}");
        }
    }

    #[test]
    fn only_names_need_files() {
        let files = |text| OwnerSpec::parse(text).files().collect::<Vec<_>>();
        assert_eq!(files("1:2"), [""; 0]);
        assert_eq!(files("root:root"), [""; 0]);
        assert_eq!(files("app"), [PASSWD]);
        assert_eq!(files("1:app"), [GROUP]);
        assert_eq!(files("a:b"), [PASSWD, GROUP]);
    }
}
