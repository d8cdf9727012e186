//! What changed in a base is what dpkg says: packages that dpkg itself installed, upgraded and removed, in layers on the
//! real docker-registry.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use refit_testkit::registry::Image;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{bench::Bench, hub::Hub, said::Said};

/// Files by path.
type Files = BTreeMap<String, String>;
/// Versions by package and architecture.
type Versions = BTreeMap<(String, String), String>;

/// A root folder whose packages dpkg keeps.
struct Root {
    folder: TempDir,
}

impl Root {
    fn new() -> Self {
        let folder = TempDir::with_prefix("refit-dpkg-").unwrap();
        let root = Self { folder };
        for name in ["info", "updates"] {
            fs::create_dir_all(root.database().join(name)).unwrap();
        }
        fs::write(root.database().join("status"), "").unwrap();
        root.dpkg(&["--add-architecture", "arm64"]);
        root
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn database(&self) -> PathBuf {
        self.path().join("var/lib/dpkg")
    }

    fn dpkg(&self, args: &[&str]) {
        let mut command = Command::new("dpkg");
        command.args([&format!("--root={}", self.path().display()), "--force-all"]);
        // dpkg wants programs of an administrator on its path.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Said::by(command.args(args)).exits(0);
    }

    /// Installs packages (`NAME VERSION ARCHITECTURE`) at once, as those of several architectures have to be.
    fn install(&self, packages: &[&str]) {
        let built = packages.iter().map(|package| self.build(package));
        let built: Vec<String> = built.collect();
        let built = built.iter().map(String::as_str);
        let args: Vec<&str> = std::iter::once("--install").chain(built).collect();
        self.dpkg(&args);
    }

    /// Builds a package with a file and a configuration file of its own.
    fn build(&self, package: &str) -> String {
        let [name, version, architecture] = words(package);
        let tree = self.folder.path().join("tree");
        let several = match architecture {
            "all" => "",
            _ => "Multi-Arch: same\n",
        };
        let files = [
            (
                "DEBIAN/control",
                format!(
                    "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{several}\
                     Maintainer: A <a@example.com>\nDescription: {name}\n Version: 9 of the description\n"
                ),
            ),
            ("DEBIAN/conffiles", format!("/etc/{name}.conf\n")),
            (&*format!("etc/{name}.conf"), String::new()),
            (
                &*format!("usr/share/{name}/{architecture}"),
                version.to_owned(),
            ),
        ];
        for (path, text) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let deb = format!("{name}_{architecture}.deb");
        let deb = self.folder.path().join(deb);
        let mut build = Command::new("dpkg-deb");
        build.args(["--root-owner-group", "--build"]);
        Said::by(build.arg(&tree).arg(&deb)).exits(0);
        fs::remove_dir_all(tree).unwrap();
        deb.to_string_lossy().into_owned()
    }

    /// What dpkg's own query lists as installed.
    fn installed(&self) -> Versions {
        let mut query = Command::new("dpkg-query");
        query.arg(format!("--admindir={}", self.database().display()));
        query.args(["--show", "--showformat"]);
        query.arg("${db:Status-Status} ${Package} ${Architecture} ${Version}\n");
        let listed = Said::by(&mut query).exits(0).stdout;
        let installed = listed
            .lines()
            .filter_map(|line| line.strip_prefix("installed "));
        installed
            .map(|line| {
                let [name, architecture, version] = words(line);
                (
                    (name.to_owned(), architecture.to_owned()),
                    version.to_owned(),
                )
            })
            .collect()
    }

    fn files(&self) -> Files {
        let mut files = Files::new();
        collect(&self.path(), "", &mut files);
        files
    }
}

fn words<const N: usize>(text: &str) -> [&str; N] {
    let words: Vec<&str> = text.split(' ').collect();
    words.try_into().unwrap()
}

fn collect(folder: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), files);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            files.insert(format!("{prefix}{name}"), text);
        }
    }
}

/// What a layer over `old` has to hold to come to `new`: what is other, and whiteouts.
fn layer(old: &Files, new: &Files) -> Files {
    let changed = new
        .iter()
        .filter(|(path, text)| old.get(*path) != Some(text));
    let changed = changed.map(|(path, text)| (path.clone(), text.clone()));
    let gone = old.keys().filter(|path| !new.contains_key(*path));
    let whiteout = |path: &String| match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/.wh.{name}"),
        None => format!(".wh.{path}"),
    };
    changed
        .chain(gone.map(|path| (whiteout(path), String::new())))
        .collect()
}

fn image(layers: &[Files]) -> Image {
    let layers: Vec<Vec<(&str, &str)>> = layers
        .iter()
        .map(|files| {
            files
                .iter()
                .map(|(path, text)| (&**path, &**text))
                .collect()
        })
        .collect();
    let layers: Vec<&[(&str, &str)]> = layers.iter().map(Vec::as_slice).collect();
    Image::new("linux/amd64", &layers)
}

/// What differs by dpkg's word, in the words of a plan.
fn changes(old: &Versions, new: &Versions) -> Value {
    let architectures = |of: &Versions, name: &str| of.keys().filter(|(n, _)| n == name).count();
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changes = keys.into_iter().filter_map(|key| {
        let (from, to) = (old.get(key), new.get(key));
        let change = match (from, to) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(from), Some(to)) if from == to => return None,
            (Some(from), Some(to)) => {
                let mut compare = Command::new("dpkg");
                compare.args(["--compare-versions", from, "lt", to]);
                if compare.status().unwrap().success() {
                    "upgraded"
                } else {
                    "downgraded"
                }
            }
        };
        let (name, architecture) = key;
        let several = architectures(old, name) > 1 || architectures(new, name) > 1;
        let name = if several {
            format!("{name}:{architecture}")
        } else {
            name.clone()
        };
        Some(json!({"name": name, "from": from, "to": to, "change": change}))
    });
    changes.collect()
}

/// What a plan says that changed in the base.
#[track_caller]
fn planned(bench: &Bench) -> Value {
    let plan = bench.refit(&["sweep", "--dry-run", "--packages", "--format", "json"]);
    let mut plan = plan.exits(0).json();
    plan["steps"][0]["reasons"][0]["packages"].take()
}

#[test]
fn needs_docker_registry_and_needs_dpkg_to_agree_on_what_changed_in_a_base() {
    let hub = Hub::start();
    let bench = Bench::without_engine();
    let root = Root::new();
    let system = Files::from([("etc/os-release".to_owned(), "ID=debian\n".to_owned())]);
    root.install(&[
        "openssl 3.0.11-1~deb12u2 amd64",
        "libc6 2.36-9+deb12u4 amd64",
        "libm 1:1.2-3 amd64",
        "libm 1:1.2-3 arm64",
        "back 2.0 all",
        "left 1.0 all",
        "gone 1.0 all",
    ]);
    let (before, old) = (root.files(), root.installed());
    assert_eq!(old.len(), 7);
    let first = [system.clone(), before.clone()];
    hub.push_image("base/os", "1", &image(&first));
    bench.write(&[
        (
            ".config/refit.toml",
            &format!(
                "version = 1\npush-to = [\"{}/team\"]\n[[image]]\nname = \"web\"\ncontext = \"web\"\n",
                hub.host()
            ),
        ),
        ("web/Dockerfile", &format!("FROM {}/base/os:1\nCOPY page /srv/\n", hub.host())),
        ("web/page", "one\n"),
    ]);
    bench.commit("Add web");
    bench.refit(&["build", "--push"]).exits(0);

    // A patch in a layer of its own: upgrades, a downgrade, an addition, one removed and one purged.
    root.install(&[
        "openssl 3.0.15-1~deb12u1 amd64",
        "libm 1:1.2-3+b1 amd64",
        "libm 1:1.2-3+b1 arm64",
        "back 2.0~rc1 all",
        "fresh 0.1 all",
    ]);
    root.dpkg(&["--remove", "left"]);
    root.dpkg(&["--purge", "gone"]);
    let (after, new) = (root.files(), root.installed());
    let patch = layer(&before, &after);
    assert!(
        patch.keys().any(|path| path.contains(".wh.gone")),
        "{patch:?}"
    );
    hub.push_image(
        "base/os",
        "1",
        &image(&[system.clone(), before, patch.clone()]),
    );
    let expected = changes(&old, &new);
    assert_eq!(expected.as_array().unwrap().len(), 7, "{expected}");
    assert_eq!(planned(&bench), expected);

    // The same in one layer is the same.
    hub.push_image("base/os", "1", &image(&[system.clone(), after]));
    assert_eq!(planned(&bench), expected);
    bench.refit(&["sweep"]).exits(0);

    // A layer that removes dpkg's folder leaves no package.
    let none = Files::from([("var/lib/.wh.dpkg".to_owned(), String::new())]);
    let layers = [&first[..], &[patch, none]].concat();
    hub.push_image("base/os", "1", &image(&layers));
    assert_eq!(planned(&bench), changes(&new, &Versions::new()));
}
