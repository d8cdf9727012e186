//! Bases that differ, and Dockerfiles on them: which of the bases a rebase may go to.

/// A base: its name, the members of its layer, the `config` of its config.
pub(crate) type Base = (&'static str, &'static [&'static str], &'static str);

/// What every image is built on first.
pub(crate) const OLD: Base = (
    "old",
    &[
        "etc/",
        "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\n",
        "etc/group=root:x:0:\nweb:x:33:\n",
        "etc/version=1",
        "bin/",
        "bin/sh=1",
        "usr/",
        "usr/bin/",
        "usr/bin/tool=1",
        "opt/",
        "srv/",
        "srv/data/",
        "srv/data/file=1",
        "tmp/",
    ],
    r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/work","Cmd":["sh"]}"#,
);

const PATCHED: &[&str] = &[
    "etc/",
    "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\n",
    "etc/group=root:x:0:\nweb:x:33:\n",
    "etc/version=22",
    "bin/",
    "bin/sh=22",
    "usr/",
    "usr/bin/",
    "usr/bin/tool=22",
    "usr/bin/new=1",
    "opt/",
    "srv/",
    "srv/data/",
    "srv/data/file=22",
    "tmp/",
];

/// What they may be put on: `patched` differs as a patch does, every other one in one further thing.
pub(crate) const NEW: &[Base] = &[
    (
        "patched",
        PATCHED,
        r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/work","Cmd":["sh"]}"#,
    ),
    (
        "merged",
        &[
            "etc/",
            "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\n",
            "etc/group=root:x:0:\nweb:x:33:\n",
            "etc/version=2",
            "usr/",
            "usr/bin/",
            "usr/bin/sh=2",
            "usr/bin/tool=2",
            "bin -> usr/bin",
            "opt/",
            "srv/",
            "srv/data/",
            "srv/data/file=2",
            "tmp/",
        ],
        r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/work","Cmd":["sh"]}"#,
    ),
    (
        "users",
        &[
            "etc/",
            "etc/passwd=root:x:0:0::/:\napp:x:200:201::/:\n",
            "etc/group=root:x:0:\nweb:x:34:\n",
            "etc/version=2",
            "bin/",
            "bin/sh=2",
            "usr/",
            "usr/bin/",
            "usr/bin/tool=2",
            "opt/",
            "srv/",
            "srv/data/",
            "srv/data/file=2",
            "tmp/",
        ],
        r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/work","Cmd":["sh"]}"#,
    ),
    (
        "modes",
        &[
            "etc/",
            "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\n",
            "etc/group=root:x:0:\nweb:x:33:\n",
            "etc/version=2",
            "bin/",
            "bin/sh=2",
            "usr/",
            "usr/bin/",
            "usr/bin/tool=2",
            "700 opt/",
            "7:8 srv/",
            "711 srv/data/",
            "srv/data/file=2",
            "1777 tmp/",
        ],
        r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/work","Cmd":["sh"]}"#,
    ),
    (
        "folders",
        &[
            "etc/",
            "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\n",
            "etc/group=root:x:0:\nweb:x:33:\n",
            "etc/version=2",
            "bin/",
            "bin/sh=2",
            "usr/",
            "usr/bin/",
            "usr/bin/tool/",
            "opt/",
            "opt/app/",
            "700 work/",
            "srv=no folder any more",
            "tmp/",
        ],
        r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/work","Cmd":["sh"]}"#,
    ),
    (
        "env",
        PATCHED,
        r#"{"Env":["PATH=/bin:/sbin","APP=/else","NEW=1"],"WorkingDir":"/work","Cmd":["sh"],"Labels":{"of":"base"}}"#,
    ),
    (
        "workdir",
        PATCHED,
        r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/else","Cmd":["ash"],"User":"7"}"#,
    ),
    (
        "onbuild",
        PATCHED,
        r#"{"Env":["PATH=/bin","APP=/app"],"WorkingDir":"/work","Cmd":["sh"],"OnBuild":["ENV TRIGGERED=1"]}"#,
    ),
];

/// A Dockerfile on `base`. `other` is a base that does not move; `tools` is one on which something can be executed.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) dockerfile: &'static str,
    /// The bases that it is refused for, since a rebuild would come to something else.
    pub(crate) refused: &'static str,
    /// The bases that it is refused for although a rebuild would come to the same.
    pub(crate) cautious: &'static str,
    /// Further ones if Docker built it: its layers repeat the folders that they are in.
    pub(crate) with_docker: &'static str,
}

const fn case(name: &'static str, dockerfile: &'static str) -> Case {
    Case {
        name,
        dockerfile,
        refused: "",
        cautious: "onbuild",
        with_docker: "",
    }
}

impl Case {
    const fn refused(self, refused: &'static str) -> Self {
        Self { refused, ..self }
    }

    const fn cautious(self, cautious: &'static str) -> Self {
        Self { cautious, ..self }
    }

    const fn with_docker(self, with_docker: &'static str) -> Self {
        Self {
            with_docker,
            ..self
        }
    }
}

pub(crate) const CONTEXT: &[&str] = &[
    "a=a",
    "b=b",
    "dir/x=x",
    "dir/sub/y=y",
    "root/usr/bin/tool=mine",
    "root/usr/share/doc=mine",
    "root/opt/app/z=z",
    "links/to -> /srv",
];

pub(crate) const CASES: &[Case] = &[
    case(
        "only metadata",
        "FROM base\nLABEL l=1\nENV E=$APP PATH=/x:$PATH\nEXPOSE 80\nCMD [\"a\"]\nHEALTHCHECK CMD true\n",
    ),
    case("a file into /bin", "FROM base\nCOPY a /bin/a\n").refused("merged"),
    case("a file over a file", "FROM base\nCOPY a /usr/bin/tool\n").refused("folders"),
    case(
        "files into a folder of the base",
        "FROM base\nCOPY a b /usr/bin/\n",
    ),
    case(
        "into a new folder",
        "FROM base\nCOPY a /new/deep/\nCOPY b /new/b\n",
    ),
    case(
        "below a folder of the base",
        "FROM base\nCOPY dir /opt/app/\n",
    )
    .refused("folders")
    .with_docker("modes"),
    case("a folder over a folder", "FROM base\nCOPY dir /srv/data\n")
        .refused("folders")
        .with_docker("modes"),
    case("a whole root", "FROM base\nCOPY root /\n")
        .refused("folders")
        .cautious("modes onbuild"),
    case(
        "owners by name",
        "FROM base\nCOPY --chown=app a /new/a\nCOPY --chown=0:web b /new/b\n",
    )
    .refused("users"),
    case(
        "owners by number",
        "FROM base\nCOPY --chown=100:33 a /new/a\n",
    ),
    case("a mode", "FROM base\nCOPY --chmod=700 a /opt/\n").with_docker("modes"),
    case("a variable of the base", "FROM base\nCOPY a $APP/a\n").refused("env"),
    case(
        "a variable of the base in a label",
        "FROM base\nCOPY a /a\nLABEL app=$APP\n",
    ),
    case("relative to the base's folder", "FROM base\nCOPY a rel/\n").refused("folders workdir"),
    case(
        "relative to a folder of its own",
        "FROM base\nWORKDIR /own\nCOPY a ./\nCOPY . .\n",
    )
    .refused("workdir"),
    case(
        "a working folder of the base's user",
        "FROM base\nWORKDIR /own\n",
    )
    .refused("workdir"),
    case(
        "a working folder of a user",
        "FROM base\nUSER app\nWORKDIR /own/of-app\n",
    )
    .refused("users"),
    case(
        "a working folder that is there",
        "FROM base\nWORKDIR /opt\nWORKDIR app\n",
    )
    .refused("folders workdir")
    .with_docker("modes"),
    case(
        "below what was copied",
        "FROM base\nCOPY dir /app\nWORKDIR /app/sub\nCOPY a .\n",
    ),
    case(
        "through a link that was copied",
        "FROM base\nCOPY links /app\nCOPY a /app/to/\n",
    )
    .refused("folders")
    .with_docker("modes"),
    case("linked", "FROM base\nCOPY --link a /bin/a\n"),
    case(
        "linked, and on top of it",
        "FROM base\nCOPY --link a /opt/l/\nCOPY b /opt/l/\n",
    ),
    case(
        "a here-document",
        "FROM base\nCOPY <<E /opt/here\n$APP\nE\n",
    )
    .refused("env")
    .with_docker("modes"),
    case(
        "two stages",
        "FROM base AS one\nCOPY a /opt/a\nFROM one\nCOPY b /opt/b\nLABEL l=2\n",
    )
    .with_docker("modes"),
    case(
        "from another image",
        "FROM base\nCOPY --from=other /etc /opt/etc\n",
    )
    .with_docker("modes"),
    case(
        "from a stage on another image",
        "FROM other AS files\nCOPY a /etc/a\nFROM base\nCOPY --from=files /etc /opt/etc\n",
    )
    .with_docker("modes"),
    case(
        "from a stage on the base",
        "FROM base AS files\nCOPY a /etc/a\nFROM base\nCOPY --from=files /etc/a /opt/a\n",
    )
    .cautious("patched merged users modes folders env workdir onbuild"),
    case(
        "from a stage of its own chain",
        "FROM base AS one\nCOPY a /a\nFROM one\nCOPY --from=one /etc/version /opt/v\n",
    )
    .refused("patched merged users modes folders env workdir onbuild")
    .cautious(""),
    case(
        "from a stage that executes",
        "FROM tools AS make\nRUN echo made > /made\nFROM base\nCOPY --from=make /made /opt/\n",
    )
    .with_docker("modes"),
    case("executes", "FROM base\nRUN echo 1 > /x\n"),
    case(
        "names of its own accounts",
        "FROM base\nCOPY <<E /etc/passwd\nroot:x:0:0\napp:x:7:8\nE\nCOPY --chown=app a /new/a\n",
    ),
    case(
        "triggers of a stage",
        "FROM base AS one\nONBUILD COPY a /opt/a\nFROM one\nCOPY b /opt/b\n",
    )
    .with_docker("modes"),
    case(
        "leaves triggers",
        "FROM base\nCOPY a /opt/a\nONBUILD RUN x\n",
    )
    .with_docker("modes"),
];
