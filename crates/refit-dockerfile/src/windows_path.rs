//! Paths in the Dockerfiles of Windows images, as BuildKit reads them (its `util/system/path.go`).

/// Why a path means nothing inside a Windows image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowsPathError {
    /// `C:`
    #[error("`{0}` is a drive without a path on it")]
    Drive(String),
    /// `D:\x`
    #[error("`{0}` is not on the drive `C:`, the only one that an image has")]
    OtherDrive(String),
    /// `\\server\share`
    #[error("`{0}` is a network path, and no image has those")]
    Network(String),
}

/// `written` with slashes and without its drive, not cleaned: a source of COPY.
pub fn windows_slashes(written: &str) -> Result<String, WindowsPathError> {
    let path = written.replace('\\', "/");
    if path.starts_with("//") {
        return Err(WindowsPathError::Network(written.to_owned()));
    }
    match path.split_once(':') {
        None => Ok(path),
        Some((_, "")) if path.len() == 2 => Err(WindowsPathError::Drive(written.to_owned())),
        Some((drive, path)) if drive.eq_ignore_ascii_case("c") => Ok(path.to_owned()),
        Some(_) => Err(WindowsPathError::OtherDrive(written.to_owned())),
    }
}

/// `written`, relative to `parent`, as an absolute path with slashes and without its drive.
///
/// Backslashes are slashes. What follows `C:` without a slash is relative, as everything else that begins with none. A
/// slash or `/.` at the end says that a folder is meant, and stays.
///
/// ```
/// use refit_dockerfile::windows_path;
///
/// assert_eq!(windows_path("/", r"C:\app\conf\"), Ok("/app/conf/".to_owned()));
/// assert_eq!(windows_path(r"\app", r"logs\..\x"), Ok("/app/x".to_owned()));
/// assert!(windows_path("/", r"D:\app").is_err());
/// ```
pub fn windows_path(parent: &str, written: &str) -> Result<String, WindowsPathError> {
    let path = windows_slashes(written)?;
    let joined = if path.starts_with('/') {
        clean(&path)
    } else {
        clean(&format!("/{}/{path}", windows_slashes(parent)?))
    };
    let is_root = joined == "/";
    Ok(match path.rsplit('/').next() {
        Some("") if path.contains('/') && !is_root => joined + "/",
        Some(".") if path.contains('/') && !is_root => joined + "/.",
        _ => joined,
    })
}

/// Go's `path.Join("/", path)`.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_buildkit_reads_them() {
        for (parent, written, expect) in [
            ("/", r"C:\", Some("/")),
            ("/", r"c:\app", Some("/app")),
            ("/", r"C:/app/", Some("/app/")),
            (r"\work", "C:sub", Some("/work/sub")),
            (r"\work", "sub/", Some("/work/sub/")),
            (r"C:\work", r".\", Some("/work/")),
            (r"\work", r"..\..\x", Some("/x")),
            (r"\work", r"\abs\.", Some("/abs/.")),
            (r"\work", ".", Some("/work")),
            ("", "", Some("/")),
            ("/", "/.", Some("/")),
            ("/", "C:", None),
            ("/", r"D:\x", None),
            ("/", r"\\server\share", None),
            ("/", "//server/share", None),
            (r"D:\x", "y", None),
        ] {
            let read = windows_path(parent, written);
            assert_eq!(read.ok().as_deref(), expect, "{parent} {written}");
        }
    }
}
