//! What every Dockerfile of the corpus can build on, and copy.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use refit_build::engine::Recipe;
use refit_context::gzip_deterministic;

use crate::{
    fixture::{Wanted, World},
    peers::{archive, with_files},
};

const LOWER: &[&str] = &[
    "etc/",
    "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\nweb:x:33:33::/:\n",
    "etc/group=root:x:0:\nweb:x:33:\nstaff:x:50:app\n",
    "usr/",
    "usr/bin/",
    "usr/bin/tool=tool",
    "usr/lib/",
    "usr/local/",
    "bin -> usr/bin",
    "lib -> /usr/lib",
    "opt -> /usr/local/opt",
    "releases/",
    "releases/1/",
    "releases/1/app=1",
    "current -> releases/1",
    "up -> ../../etc",
    "to-file -> srv/file",
    "loop -> loop",
    "755 3:4 srv/",
    "srv/file=old",
    "4755 srv/tool=tool",
    "4755 srv/same == srv/tool",
    "@user.note:00ff 640 5:6 srv/noted=noted",
    "@security.capability:0100000200040000000000000000000000000000 755 srv/able=able",
    "srv/sub/",
    "srv/sub/hidden-by-the-upper-layer=1",
    "home/",
    "700 100:101 home/app/",
    "1777 tmp/",
    "gone/",
    "gone/x=1",
];

const UPPER: &[&str] = &[
    ".wh.gone",
    "srv/",
    "srv/file=new",
    "srv/sub/",
    "srv/sub/.wh..wh..opq",
    "srv/sub/only=1",
];

const OTHER: &[&str] = &[
    "etc/",
    "600 8:9 etc/other=other",
    "links/",
    "links/target=1",
    "links/abs -> /links/target",
    "links/rel -> target",
];

const BASE: &str = r#"{"Env":["PATH=/bin:/usr/bin","APP=/srv"],"WorkingDir":"/work","Cmd":["sh"],
    "Labels":{"of":"base"},"ExposedPorts":{"8080/tcp":{}},"Volumes":{"/data":{}},"StopSignal":"SIGQUIT"}"#;

const TRIGGERS: &str = r#"{"Env":["PATH=/bin","APP=/srv"],"WorkingDir":"/work",
    "OnBuild":["COPY a.txt /onbuild/","ENV T=$APP","USER app","WORKDIR made","LABEL by=trigger"]}"#;

const SHELL: &str = r#"{"Env":["PATH=/bin"],"User":"app","Shell":["/bin/ash","-c"],"Entrypoint":["/bin/tool"],
    "Cmd":["a"],"Healthcheck":{"Test":["CMD","x"],"Interval":1000000000},"StopSignal":"9","Labels":{"a":"b"}}"#;

const CONTEXT: &[&str] = &[
    "a.txt=a",
    "b.txt=b",
    "!run.sh=#!/bin/sh\n",
    "sp ace.txt=space",
    "[weird].txt=weird",
    "conf/a.conf=a",
    "conf/b.conf=b",
    "conf/notes=n",
    "conf/sub/c=c",
    "conf/sub/link -> ../a.conf",
    "alias -> conf/sub",
    "to-a -> a.txt",
    "links/to-folder -> ../conf",
    "links/to-nothing -> nowhere/at/all",
    "links/absolute -> /etc/passwd",
    "!modes/executable=x",
    "modes/plain=y",
    "hidden/.dot=1",
    "hidden/.folder/x=1",
];

/// A world with all bases.
pub(super) async fn world() -> World {
    let mut world = World::new();
    world.base("base", &[LOWER, UPPER], BASE).await;
    world.base("other", &[OTHER], "{}").await;
    world.base("triggers", &[LOWER, UPPER], TRIGGERS).await;
    world.base("shell", &[LOWER], SHELL).await;
    world
}

/// The archives of the context, and what looks like one.
pub(super) struct Archives(Vec<(&'static str, Vec<u8>)>);

impl Archives {
    /// Compresses with the programs that people do it with.
    pub(super) fn make() -> Self {
        let plain = archive();
        let (mut gzip, mut text) = (Vec::new(), Vec::new());
        gzip_deterministic(plain.as_slice(), &mut gzip).unwrap();
        gzip_deterministic(b"no archive".as_slice(), &mut text).unwrap();
        Self(vec![
            ("files.tar.bz2", compressed("bzip2", &plain)),
            ("files.tar.xz", compressed("xz", &plain)),
            ("files.tar.zst", compressed("zstd", &plain)),
            ("cut.tar.gz", gzip[..40].to_vec()),
            ("files.tar.gz", gzip),
            ("files.tar", plain),
            ("text.gz", text),
            ("no.tar", b"no archive".to_vec()),
        ])
    }
}

impl Archives {
    /// Names and bytes.
    pub(super) fn files(&self) -> Vec<(&str, &[u8])> {
        let files = self.0.iter();
        let files = files.map(|(name, bytes)| (*name, bytes.as_slice()));
        files.collect()
    }
}

fn compressed(program: &str, plain: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut input = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || input.write_all(plain).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program}");
    output.stdout
}

/// The recipe of one Dockerfile.
pub(super) fn recipe(
    world: &World,
    archives: &Archives,
    (dockerfile, build_args): (&str, &[(&str, &str)]),
) -> Recipe {
    let recipe = world.recipe(&Wanted {
        build_args,
        ..Wanted::of(dockerfile, CONTEXT)
    });
    with_files(recipe, &archives.files())
}
