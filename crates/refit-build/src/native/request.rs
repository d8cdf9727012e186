//! What a COPY or ADD asks for, its variables expanded.

use refit_dockerfile::{
    Instruction, Keyword, TransferSource, WindowsPathError, expand::ExpandError, remote,
    windows_path, windows_slashes,
};

use super::scope::Scope;

/// Which archives are unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpack {
    /// None.
    None,
    /// Those that are not fetched.
    Local,
    /// Those that are fetched, too.
    All,
}

/// The operands and flags of a COPY or ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// COPY or ADD.
    pub(crate) keyword: Keyword,
    /// Paths and patterns, in order.
    pub(crate) paths: Vec<String>,
    /// Names and bodies of here-documents; they come after the paths wherever they are written.
    pub(crate) heredocs: Vec<(String, String)>,
    pub(crate) destination: String,
    pub(crate) chown: Option<String>,
    pub(crate) chmod: Option<String>,
    pub(crate) excludes: Vec<String>,
    pub(crate) parents: bool,
    pub(crate) link: bool,
    pub(crate) unpack: Unpack,
    /// What a URL holds.
    pub(crate) checksum: Option<String>,
}

impl Request {
    /// None if the instruction is neither COPY nor ADD.
    pub(crate) fn read(
        instruction: &Instruction,
        scope: &Scope,
    ) -> Result<Option<Self>, ExpandError> {
        let Some(transfer) = instruction.transfer() else {
            return Ok(None);
        };
        let is_add = instruction.keyword == Keyword::Add;
        let flag = |name: &str| {
            let value = instruction
                .flag(name)
                .map(|value| scope.word(&value.value))
                .transpose()?;
            Ok::<_, ExpandError>(value.filter(|value| !value.is_empty()))
        };
        let switch = |name: &str| instruction.switch(name);
        let (mut paths, mut heredocs) = (Vec::new(), Vec::new());
        for source in &transfer.sources {
            match source {
                TransferSource::Path(word) => paths.push(scope.word(&word.value)?),
                TransferSource::Heredoc(heredoc) => {
                    let body = heredoc.body();
                    let body = if heredoc.expand {
                        scope.heredoc(&body)?
                    } else {
                        body
                    };
                    heredocs.push((heredoc.name.clone(), body));
                }
            }
        }
        let excludes = instruction
            .flag_values("exclude")
            .map(|value| value.value.clone());
        Ok(Some(Self {
            keyword: instruction.keyword,
            paths,
            heredocs,
            destination: scope.word(&transfer.destination.value)?,
            chown: flag("chown")?,
            chmod: flag("chmod")?,
            excludes: excludes.collect(),
            parents: switch("parents").unwrap_or_default(),
            link: switch("link").unwrap_or_default(),
            unpack: match switch("unpack") {
                Some(true) => Unpack::All,
                None if is_add => Unpack::Local,
                Some(false) | None => Unpack::None,
            },
            checksum: flag("checksum")?,
        }))
    }

    /// The same for a Windows image, whose working directory is `current`: with slashes and without drives.
    pub(crate) fn on_windows(&self, current: &str) -> Result<Self, WindowsPathError> {
        let paths = self.paths.iter().map(|path| match remote(path) {
            Some(_) => Ok(path.clone()),
            None => windows_slashes(path),
        });
        let destination = match self.destination.as_str() {
            "" | "." => "./",
            destination => destination,
        };
        Ok(Self {
            paths: paths.collect::<Result<_, _>>()?,
            destination: windows_path(current, destination)?,
            ..self.clone()
        })
    }

    /// The first path that is a URL or a git repository's address.
    pub(crate) fn remote(&self) -> Option<&str> {
        let is_remote = |path: &&String| remote(path).is_some();
        self.paths.iter().find(is_remote).map(String::as_str)
    }

    /// The line of history, as BuildKit writes it.
    pub(crate) fn created_by(&self) -> String {
        let mut words = vec![self.keyword.as_str().to_owned()];
        words.extend(self.parents.then(|| "--parents".to_owned()));
        words.extend(self.chown.iter().map(|owner| format!("--chown={owner}")));
        words.extend(self.chmod.iter().map(|mode| format!("--chmod={mode}")));
        words.extend(self.paths.iter().cloned());
        words.extend(self.heredocs.iter().map(|(name, _)| format!("<<{name}")));
        words.push(self.destination.clone());
        words.push("# buildkit".to_owned());
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use refit_dockerfile::parse;

    use super::*;

    fn request(text: &str) -> Request {
        let file = parse(&format!("FROM scratch\n{text}\n")).unwrap();
        let scope = Scope::of_env(&["V=1".to_owned(), "U=https://x".to_owned()], '\\');
        Request::read(&file.stages[0].instructions[0], &scope)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn histories_read_as_buildkits() {
        for (text, expect) in [
            ("COPY a b/ /x", "COPY a b/ /x # buildkit"),
            ("COPY --from=0 --link a$V .", "COPY a1 . # buildkit"),
            (
                "ADD --chmod=7${V}5 --chown=app:$V a /",
                "ADD --chown=app:1 --chmod=715 a / # buildkit",
            ),
            (
                "COPY --parents --exclude=x a /",
                "COPY --parents a / # buildkit",
            ),
            ("COPY <<EOF a /x/\nEOF", "COPY a <<EOF /x/ # buildkit"),
            ("COPY [\"a b\", \"/c d\"]", "COPY a b /c d # buildkit"),
        ] {
            assert_eq!(request(text).created_by(), expect);
        }
    }

    #[test]
    fn here_documents_are_expanded_unless_quoted() {
        let request = request("COPY <<A <<-\"B\" /\n\"$V\"\nA\n\t$V\n\tx\n\tB");
        let bodies: Vec<_> = request
            .heredocs
            .iter()
            .map(|(_, body)| body.as_str())
            .collect();
        assert_eq!(bodies, ["\"1\"\n", "$V\nx\n"]);
    }

    #[test]
    fn switches() {
        assert_eq!(request("ADD a /").unpack, Unpack::Local);
        assert_eq!(request("ADD --unpack a /").unpack, Unpack::All);
        assert_eq!(request("ADD --unpack=false a /").unpack, Unpack::None);
        assert_eq!(request("COPY a /").unpack, Unpack::None);
        assert!(request("COPY --link a /").link);
        assert!(!request("COPY --link=false a /").link);
        assert_eq!(request("ADD $U/y /").remote(), Some("https://x/y"));
        assert_eq!(request("ADD git:y /").remote(), None);
    }
}
