//! COPY, ADD and WORKDIR: the instructions that make layers.

use refit_dockerfile::{Keyword, WindowsPathError, expand::ExpandError};
use refit_registry::RegistryError;

use super::{
    bases::{BaseError, Bases},
    contents::{ContentError, Contents},
    copy::{self, CopyError, CopyRules, Destination},
    draft::{Draft, working_dir},
    edit::{Edit, NewFolders, WhiteoutName},
    fetch::{Fetcher, check_checksum},
    file_table::{FileTable, TreeError},
    items::{Item, items, patterns, refuse_several_to_one},
    mode_change::{ModeChange, ModeError},
    node::NodeKind,
    owner::{Owner, OwnerSpec, PASSWD, UnknownName},
    request::Request,
    unpack::{self, UnpackError},
};

/// A passwd or group file above this many bytes is refused, as by BuildKit.
const MAX_NAMES: u64 = 10 << 20;

/// What reads and writes bytes for a build.
pub(crate) struct Workbench {
    pub(crate) bases: Bases,
    pub(crate) contents: Contents,
    pub(crate) fetcher: Fetcher,
}

/// Where an instruction copies from.
pub(crate) struct Origin<'a> {
    pub(crate) tree: &'a FileTable,
    /// For messages: `the build context`.
    pub(crate) place: String,
}

/// Why an instruction cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error("{message}")]
    Refused { message: String, hint: String },
    #[error(transparent)]
    Expand(#[from] ExpandError),
    #[error(transparent)]
    WindowsPath(#[from] WindowsPathError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("`{url}` cannot be fetched")]
    Fetch { url: String, source: RegistryError },
    #[error("{0}")]
    Checksum(String),
    #[error("`{path}` cannot be unpacked")]
    Unpack { path: String, source: UnpackError },
    #[error(transparent)]
    Owner(#[from] UnknownName),
    #[error("the image's `{0}` is no readable file of a sensible size")]
    Names(&'static str),
    #[error(transparent)]
    Mode(#[from] ModeError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Whiteout(#[from] WhiteoutName),
    #[error("`{pattern}` is no pattern: {why}")]
    Pattern { pattern: String, why: String },
    #[error("several sources need a destination that ends with `/` or is a folder, not `{0}`")]
    SeveralToOne(String),
}

/// Carries out a COPY or ADD.
pub(crate) fn transfer(
    draft: &mut Draft,
    request: &Request,
    origin: &Origin<'_>,
    bench: &mut Workbench,
) -> Result<(), TransferError> {
    if let Some(remote) = request.remote()
        && request.keyword == Keyword::Copy
    {
        return Err(copy_fetches(remote));
    }
    check_checksum(request)?;
    // With `--link` nothing of what is below is looked at; with `--chmod` BuildKit does not link.
    let is_linked = request.link && request.chmod.is_none();
    let tree = if is_linked {
        refuse_names(request)?;
        FileTable::default()
    } else {
        draft.take_tree(&mut bench.bases)?
    };
    let mut edit = Edit::new(tree);
    let created_by = request.created_by();
    let rules = rules(request, &edit, bench)?;
    let current = draft.config.config.working_dir.as_deref().unwrap_or("/");
    let on_windows = draft.is_windows().then(|| request.on_windows(current));
    let on_windows = on_windows.transpose()?;
    let request = on_windows.as_ref().unwrap_or(request);
    let destination = Destination::parse(current, &request.destination);
    let items = items(request, origin, bench)?;
    refuse_several_to_one(&items, &edit, &destination, origin)?;
    for item in items {
        put(&mut edit, item, origin, (&destination, &rules), bench)?;
    }
    let tree = finish(draft, edit, created_by, bench)?;
    if is_linked {
        draft.link(tree);
    } else {
        draft.set_tree(tree);
    }
    Ok(())
}

/// Carries out a WORKDIR: a folder that is missing is made, the user's if USER came before.
pub(crate) fn workdir(
    draft: &mut Draft,
    written: &str,
    bench: &mut Workbench,
) -> Result<(), TransferError> {
    let config = &draft.config.config;
    let mut path = working_dir(
        &draft.config.os,
        config.working_dir.as_deref().unwrap_or("/"),
        &draft.scope.word(written)?,
    )?;
    let user = config.user.clone();
    draft.config.config.working_dir = Some(path.clone());
    if draft.is_windows() {
        path = path.replace('\\', "/");
    }
    let created_by = format!("WORKDIR {path}");
    if path == "/" {
        draft.add_empty(created_by);
        return Ok(());
    }
    let mut edit = Edit::new(draft.take_tree(&mut bench.bases)?);
    let folder = edit.tree().resolve(&path)?;
    if !edit.tree().is_directory(&folder) {
        let owner = user
            .map(|user| owner(&user, edit.tree(), bench))
            .transpose()?;
        let new = NewFolders {
            mode: 0o755,
            owner: owner.unwrap_or_default(),
        };
        edit.make_folders(&folder, new)?;
    }
    let tree = finish(draft, edit, created_by, bench)?;
    draft.set_tree(tree);
    Ok(())
}

/// Makes the layer of what changed, and gives the tree. An instruction that changed nothing makes no layer.
fn finish(
    draft: &mut Draft,
    mut edit: Edit,
    created_by: String,
    bench: &mut Workbench,
) -> Result<FileTable, TransferError> {
    if draft.is_windows() {
        // Windows makes no folders of its own when it unpacks.
        edit.touch_folders();
    }
    let (tree, members) = edit.finish()?;
    if members.is_empty() {
        draft.add_empty(created_by);
    } else {
        let os = &draft.config.os;
        let layer = bench.contents.write_layer(os, &members, &mut bench.bases)?;
        draft.add_layer(&layer, created_by);
    }
    Ok(tree)
}

fn copy_fetches(remote: &str) -> TransferError {
    TransferError::Refused {
        message: format!("COPY cannot fetch `{remote}`"),
        hint: "ADD fetches URLs and git repositories".to_owned(),
    }
}

/// BuildKit would look for them in an empty file system, and take root.
fn refuse_names(request: &Request) -> Result<(), TransferError> {
    let names = request
        .chown
        .as_deref()
        .filter(|text| OwnerSpec::parse(text).files().next().is_some());
    match names {
        None => Ok(()),
        Some(names) => Err(TransferError::Refused {
            message: format!("with `--link` the names in `--chown={names}` cannot be looked up"),
            hint: "write numbers, or leave `--link` out".to_owned(),
        }),
    }
}

fn rules(
    request: &Request,
    edit: &Edit,
    bench: &mut Workbench,
) -> Result<CopyRules, TransferError> {
    let owner = request
        .chown
        .as_ref()
        .map(|text| owner(text, edit.tree(), bench));
    let exclude = (!request.excludes.is_empty()).then(|| patterns(&request.excludes));
    Ok(CopyRules {
        owner: owner.transpose()?,
        mode: request
            .chmod
            .as_deref()
            .map(ModeChange::parse)
            .transpose()?,
        include: None,
        exclude: exclude.transpose()?,
    })
}

/// Looks an owner up in the files of the image that is built.
fn owner(text: &str, tree: &FileTable, bench: &mut Workbench) -> Result<Owner, TransferError> {
    let spec = OwnerSpec::parse(text);
    let (mut passwd, mut group) = (String::new(), String::new());
    for file in spec.files() {
        let text = names(file, tree, bench)?;
        match file {
            PASSWD => passwd = text,
            _ => group = text,
        }
    }
    Ok(spec.resolve(&passwd, &group)?)
}

fn names(
    file: &'static str,
    tree: &FileTable,
    bench: &mut Workbench,
) -> Result<String, TransferError> {
    // What is not there, or cannot be there, knows no names.
    let Some(node) = tree.resolve(file).ok().and_then(|path| tree.get(&path)) else {
        return Ok(String::new());
    };
    match &node.kind {
        NodeKind::File(data) if data.size <= MAX_NAMES => {
            let bytes = bench.contents.read(data, &mut bench.bases)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => Err(TransferError::Names(file)),
    }
}

fn put(
    edit: &mut Edit,
    item: Item,
    origin: &Origin<'_>,
    (destination, rules): (&Destination, &CopyRules),
    bench: &mut Workbench,
) -> Result<(), TransferError> {
    match item {
        Item::Copy(path, include) => {
            let rules = CopyRules {
                include,
                ..rules.clone()
            };
            copy::copy(
                edit,
                origin.tree,
                (&path, &origin.place),
                destination,
                &rules,
            )?;
        }
        Item::Unpack(file, path) => {
            let folder = edit.tree().resolve(destination.path.as_str())?;
            let spool = bench.contents.new_file("unpacked");
            let unpacked = unpack::unpack(edit, (&file, &spool), &folder, rules.owner);
            unpacked.map_err(|source| TransferError::Unpack {
                path: path.to_string(),
                source,
            })?;
        }
        Item::Made(path, node) => {
            let mut tree = FileTable::default();
            tree.insert(path.clone(), node);
            let rules = CopyRules {
                exclude: None,
                ..rules.clone()
            };
            copy::copy(edit, &tree, (&path, "what was made"), destination, &rules)?;
        }
    }
    Ok(())
}
