//! The main context as a tree: the packed tar is read where it lies.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    rc::Rc,
    sync::Arc,
};

use refit_context::{TarError, TarKind, read_tar};

use super::{
    file_table::FileTable,
    image_path::ImagePath,
    node::{Content, Node},
};

/// The tree in a plain tar; contents stay in its file.
pub(crate) fn context_table(tar: &Path) -> Result<FileTable, TarError> {
    let file = File::open(tar).map_err(|source| TarError::Io {
        action: "read",
        source,
    })?;
    let position = Rc::new(Cell::new(0));
    let reader = Counting {
        inner: BufReader::with_capacity(256 * 1024, file),
        position: Rc::clone(&position),
    };
    let tar: Arc<Path> = tar.into();
    let mut table = FileTable::default();
    read_tar(reader, |entry, _| {
        // The reader stands at the member's first byte.
        let content = Content::Stored {
            file: Arc::clone(&tar),
            offset: position.get(),
        };
        if let TarKind::HardLink { .. } = entry.kind {
            return Err(TarError::Malformed("a context has no hard links"));
        }
        let path = ImagePath::clean(&entry.path);
        match table.missing_folders(&path) {
            Ok(missing) => {
                for folder in missing {
                    table.insert(folder, Node::directory(0o755));
                }
                table.insert(path, Node::of_entry(entry, content));
                Ok(())
            }
            Err(_) => Err(TarError::Malformed(
                "a file of the context lies in another file",
            )),
        }
    })?;
    Ok(table)
}

struct Counting<R> {
    inner: R,
    position: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.position.set(self.position.get() + n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom};

    use refit_context::{TarEntry, TarWriter};

    use super::*;
    use crate::native::node::NodeKind;

    #[test]
    fn files_are_found_where_they_lie_in_the_tar() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("context.tar");
        let mut tar = TarWriter::new(File::create(&path).unwrap());
        let long = format!("d/{}", "x".repeat(200));
        for (name, bytes) in [("a", "first"), (long.as_str(), "second"), ("z/y", "")] {
            let entry = TarEntry::file(name, bytes.len() as u64);
            tar.append(&entry, bytes.as_bytes()).unwrap();
        }
        tar.append(&TarEntry::symlink("link", "a"), io::empty())
            .unwrap();
        tar.finish().unwrap();

        let table = context_table(&path).unwrap();
        let read = |name: &str| {
            let NodeKind::File(data) = &table.get(&ImagePath::clean(name)).unwrap().kind else {
                panic!("{name} is no file");
            };
            let Content::Stored { file, offset } = &data.content else {
                panic!("{name} is not in the tar");
            };
            let mut file = File::open(file).unwrap();
            file.seek(SeekFrom::Start(*offset)).unwrap();
            let mut bytes = String::new();
            file.take(data.size).read_to_string(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(read("a"), "first");
        assert_eq!(read(&long), "second");
        assert_eq!(read("z/y"), "");
        assert!(table.is_directory(&ImagePath::clean("d")));
        let link = &table.get(&ImagePath::clean("link")).unwrap().kind;
        assert_eq!(*link, NodeKind::Symlink("a".to_owned()));
    }
}
