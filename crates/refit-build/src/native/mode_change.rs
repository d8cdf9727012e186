//! `--chmod`: octal, or symbolic as `chmod(1)` has it.

const SET_IDS: u32 = 0o6000;
const STICKY: u32 = 0o1000;
const ALL: u32 = SET_IDS | 0o777;
const EXECUTE: u32 = 0o111;

/// What `--chmod` does to a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ModeChange {
    /// This mode, whatever it was.
    Octal(u32),
    /// One change after the other.
    Symbolic(Vec<Step>),
}

/// One elementary change of a symbolic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Set(u32),
    Clear(u32),
    /// `X`: set these if anyone could execute the file before, or if it is a folder.
    SetIfExecutable(u32),
    /// `g=u`: `bits` of one class (0 others, 1 group, 2 user), spread to the classes in `to`.
    Copy {
        from: u32,
        to: u32,
        operator: Operator,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Remove,
    Assign,
}

/// The text is neither form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mode (want octal digits from 0 to 7777, or a change such as `u=rwX,go-w`)")]
pub(crate) struct ModeError(String);

impl ModeChange {
    pub(crate) fn parse(text: &str) -> Result<Self, ModeError> {
        let error = || ModeError(text.to_owned());
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok();
            return mode
                .filter(|mode| *mode <= 0o7777)
                .map(Self::Octal)
                .ok_or_else(error);
        }
        let mut steps = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause, &mut steps).ok_or_else(error)?;
        }
        Ok(Self::Symbolic(steps))
    }

    pub(crate) fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(steps) => steps.iter().fold(mode, |now, step| match step {
                Step::Set(bits) => now | bits,
                Step::Clear(bits) => now & !bits,
                Step::SetIfExecutable(bits) if mode & EXECUTE != 0 || is_directory => now | bits,
                Step::SetIfExecutable(_) => now,
                Step::Copy { from, to, operator } => {
                    let spread = (((now >> (3 * from)) & 0o7) * EXECUTE) & to;
                    match operator {
                        Operator::Add => now | spread,
                        Operator::Remove => now & !spread,
                        Operator::Assign => now & !to | spread,
                    }
                }
            }),
        }
    }

    /// The mode of folders that are made on the way: BuildKit gives them an octal one, and knows no set-id bits there.
    pub(crate) fn of_new_folders(change: Option<&Self>) -> u32 {
        match change {
            Some(Self::Octal(mode)) => mode & 0o777,
            Some(Self::Symbolic(_)) | None => 0o755,
        }
    }
}

/// `[ugoa]*([-+=][rwxXstugo]*)+`
fn parse_clause(clause: &str, steps: &mut Vec<Step>) -> Option<()> {
    let rest = clause.trim_start_matches(['u', 'g', 'o', 'a']);
    let classes = &clause[..clause.len() - rest.len()];
    let who = classes.chars().fold(0, |who, class| {
        who | match class {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o0007,
            _ => ALL,
        }
    });
    if rest.is_empty() {
        return None;
    }
    let mut rest = rest.chars().peekable();
    while let Some(operator) = rest.next() {
        let operator = match operator {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            '=' => Operator::Assign,
            _ => return None,
        };
        let mut permissions = String::new();
        while let Some(c) = rest.next_if(|c| !"+-=".contains(*c)) {
            permissions.push(c);
        }
        parse_operation(who, operator, &permissions, steps)?;
    }
    Some(())
}

fn parse_operation(
    who: u32,
    operator: Operator,
    permissions: &str,
    steps: &mut Vec<Step>,
) -> Option<()> {
    // Without a class everything is meant; there is no umask here.
    let reach = if who == 0 { ALL } else { who };
    // Set-id and sticky bits belong to nobody's own class.
    let only_others = who != 0 && who & !0o007 == 0;
    let (mut set, mut set_if_executable) = (0, 0);
    let mut copies = Vec::new();
    for permission in permissions.chars() {
        let class = match permission {
            'r' => {
                set |= 0o444 & reach;
                continue;
            }
            'w' => {
                set |= 0o222 & reach;
                continue;
            }
            'x' => {
                set |= EXECUTE & reach;
                continue;
            }
            'X' if operator == Operator::Remove => {
                set |= EXECUTE & reach;
                continue;
            }
            'X' => {
                set_if_executable |= EXECUTE & reach;
                continue;
            }
            's' | 't' if only_others => continue,
            's' => {
                set |= SET_IDS & reach;
                continue;
            }
            't' => {
                set |= STICKY;
                continue;
            }
            'u' => 2,
            'g' => 1,
            'o' => 0,
            _ => return None,
        };
        let to = reach & 0o777;
        copies.push(Step::Copy {
            from: class,
            to,
            operator,
        });
    }
    match operator {
        Operator::Remove => steps.push(Step::Clear(set)),
        Operator::Add => steps.push(Step::Set(set)),
        // A copy clears the classes that it assigns to, reading the old ones first.
        Operator::Assign if copies.is_empty() => {
            steps.extend([Step::Clear(reach | set & STICKY), Step::Set(set)]);
        }
        Operator::Assign => {}
    }
    steps.push(Step::SetIfExecutable(set_if_executable));
    steps.append(&mut copies);
    if operator == Operator::Assign {
        steps.push(Step::Set(set));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_change_as_with_chmod() {
        for (text, before, after) in [
            ("755", 0o644, 0o755),
            ("0644", 0o755, 0o644),
            ("4755", 0o644, 0o4755),
            ("u+x", 0o644, 0o744),
            ("+x", 0o644, 0o755),
            ("a-w", 0o666, 0o444),
            ("go=", 0o777, 0o700),
            ("go=r", 0o777, 0o744),
            ("u=rwx,go=rx", 0o600, 0o755),
            ("go-rwx,u+s", 0o755, 0o4700),
            ("u=rwX,go=rX", 0o600, 0o644),
            ("u=rwX,go=rX", 0o700, 0o755),
            ("+t", 0o755, 0o1755),
            ("g=u", 0o640, 0o660),
            ("o+g", 0o640, 0o644),
            ("g-o", 0o664, 0o624),
            ("u+r-w", 0o200, 0o400),
            ("=", 0o6755, 0),
            ("o+s", 0o755, 0o755),
            ("g+s", 0o755, 0o2755),
            ("-X", 0o755, 0o644),
        ] {
            let change = ModeChange::parse(text).unwrap();
            let got = change.apply(before, false);
            assert_eq!(got, after, "{text} on {before:o}: {got:o}");
        }
        let change = ModeChange::parse("a+X").unwrap();
        assert_eq!(change.apply(0o600, true), 0o711);
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for bad in [
            "", "8", "10000", "0x1", "u", "u+q", "rwx", "u+x,", "9z", "-1", "u+x,,g+x",
        ] {
            // `-1` begins with an operator, and `1` is no permission.
            assert!(ModeChange::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn folders_on_the_way_take_octal_modes_only() {
        let of = |text| ModeChange::of_new_folders(Some(&ModeChange::parse(text).unwrap()));
        assert_eq!(of("4711"), 0o711);
        assert_eq!(of("a-x"), 0o755);
        assert_eq!(ModeChange::of_new_folders(None), 0o755);
    }
}
