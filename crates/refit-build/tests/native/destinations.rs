//! Where COPY and WORKDIR put things, on bases that lead them astray.

use super::fixture::World;

/// A merged `/usr`, absolute links, a loop, users.
const MERGED: &[&str] = &[
    "usr/",
    "usr/bin/",
    "bin -> usr/bin",
    "opt -> /usr/local/opt",
    "loop -> loop2",
    "loop2 -> loop",
    "out -> ../../../outside",
    "etc/",
    "etc/passwd=root:x:0:0::/:\napp:x:100:101::/:\n",
    "etc/group=web:x:33:\n",
    "700 100:101 home/",
    "var/",
    "var/file=x",
];

/// The layer that a COPY of the file `tool` makes, as `tar` lists it.
#[track_caller]
fn check(layer: &[String], expect: &[&str]) {
    assert_eq!(layer, expect);
}

#[tokio::test]
async fn links_of_the_base_are_followed_inside_the_image() {
    let world = World::with_base(&[MERGED]).await;
    let copy = async |destination: &str| {
        let image = world
            .build(
                &format!("FROM base\nCOPY tool {destination}\n"),
                &["!tool=hi"],
            )
            .await;
        image.last()
    };
    check(&copy("/bin/tool").await, &["-rwxr-xr-x 0/0 2 usr/bin/tool"]);
    check(&copy("/bin/").await, &["-rwxr-xr-x 0/0 2 usr/bin/tool"]);
    check(&copy("/bin").await, &["-rwxr-xr-x 0/0 2 usr/bin/tool"]);
    let opt = [
        "drwxr-xr-x 0/0 0 usr/local/",
        "drwxr-xr-x 0/0 0 usr/local/opt/",
        "-rwxr-xr-x 0/0 2 usr/local/opt/tool",
    ];
    check(&copy("/opt/").await, &opt);
    check(&copy("/opt/tool").await, &opt);
    let outside = ["drwxr-xr-x 0/0 0 outside/", "-rwxr-xr-x 0/0 2 outside/tool"];
    check(&copy("/out/").await, &outside);
    check(&copy("../../../outside/tool").await, &outside);
    check(&copy("/home/tool").await, &["-rwxr-xr-x 0/0 2 home/tool"]);
}

#[tokio::test]
async fn a_loop_and_a_file_in_the_way_are_errors_at_the_instruction() {
    let world = World::with_base(&[MERGED]).await;
    for (destination, message) in [
        ("/loop/x", "`/loop` leads through too many symbolic links"),
        ("/var/file/", "`/var/file` is not a folder"),
        ("/var/file/x", "`/var/file` is not a folder"),
    ] {
        let error = world
            .error(
                &format!("FROM base\n\nCOPY tool {destination}\n"),
                &["tool"],
            )
            .await;
        assert_eq!(error, format!("3: COPY tool {destination}: {message}"));
    }
    let error = world
        .error(
            "FROM base\nCOPY tool /usr/bin/x\nCOPY sub /usr/bin/x\n",
            &["tool", "sub/f"],
        )
        .await;
    assert_eq!(
        error,
        "3: COPY sub /usr/bin/x: `/usr/bin/x` is not a folder"
    );
    let error = world
        .error("FROM base\nCOPY x /usr/\n", &["x/bin=a file"])
        .await;
    assert_eq!(
        error,
        "2: COPY x /usr/: the folder `/usr/bin` cannot be replaced by a file"
    );
}

#[tokio::test]
async fn working_directories_are_made_where_they_lead_and_owned_by_the_user() {
    let world = World::with_base(&[MERGED]).await;
    let image = world
        .build(
            "FROM base\nWORKDIR /opt/app\nWORKDIR data/../logs\nWORKDIR /usr/bin\nUSER app\nWORKDIR /srv/a/b\nWORKDIR ..\n\
             USER 7\nWORKDIR c\nWORKDIR /\n",
            &[],
        )
        .await;
    assert_eq!(
        image.layers(),
        [
            vec![
                "drwxr-xr-x 0/0 0 usr/local/",
                "drwxr-xr-x 0/0 0 usr/local/opt/",
                "drwxr-xr-x 0/0 0 usr/local/opt/app/",
            ],
            vec!["drwxr-xr-x 0/0 0 usr/local/opt/app/logs/"],
            vec![
                "drwxr-xr-x 100/101 0 srv/",
                "drwxr-xr-x 100/101 0 srv/a/",
                "drwxr-xr-x 100/101 0 srv/a/b/",
            ],
            vec!["drwxr-xr-x 7/7 0 srv/a/c/"],
        ]
    );
    assert_eq!(
        image.history(),
        [
            "base",
            "WORKDIR /opt/app",
            "WORKDIR /opt/app/logs",
            "-WORKDIR /usr/bin",
            "-USER app",
            "WORKDIR /srv/a/b",
            "-WORKDIR /srv/a",
            "-USER 7",
            "WORKDIR /srv/a/c",
            "-WORKDIR /",
        ]
    );
    assert_eq!(image.config()["WorkingDir"], "/");
}

#[tokio::test]
async fn relative_destinations_start_at_the_working_directory() {
    let mut world = World::new();
    world
        .base("base", &[&["app/"]], r#"{"WorkingDir": "/app"}"#)
        .await;
    let image = world
        .build(
            "FROM base\nCOPY a b ./\nWORKDIR sub\nCOPY a x\nCOPY b .\n",
            &["a=1", "b=2"],
        )
        .await;
    let layers = image.layers();
    assert_eq!(
        layers[0],
        ["-rw-r--r-- 0/0 1 app/a", "-rw-r--r-- 0/0 1 app/b"]
    );
    assert_eq!(layers[2], ["-rw-r--r-- 0/0 1 app/sub/x"]);
    assert_eq!(layers[3], ["-rw-r--r-- 0/0 1 app/sub/b"]);
}

#[tokio::test]
async fn owners_are_looked_up_in_the_image_that_is_built() {
    let world = World::with_base(&[MERGED]).await;
    let copy = async |flags: &str| {
        let dockerfile = format!("FROM base\nARG ME=app\nCOPY {flags} tool /new/tool\n");
        world.build(&dockerfile, &["tool"]).await.last()
    };
    for (flags, owner) in [
        ("--chown=app", "100/101"),
        ("--chown=$ME:web", "100/33"),
        ("--chown=5", "5/5"),
        ("--chown=5:web", "5/33"),
        ("--chown=root", "0/0"),
        ("--chown=app:7", "100/7"),
    ] {
        let expect = [
            format!("drwxr-xr-x {owner} 0 new/"),
            format!("-rw-r--r-- {owner} 0 new/tool"),
        ];
        assert_eq!(copy(flags).await, expect, "{flags}");
    }
    let error = world
        .error("FROM base\nCOPY --chown=nobody tool /\n", &["tool"])
        .await;
    assert_eq!(
        error,
        "2: COPY --chown=nobody tool /: the image's `/etc/passwd` has no `nobody`"
    );
    let error = world
        .error("FROM base\nCOPY --chown=app:app tool /\n", &["tool"])
        .await;
    assert_eq!(
        error,
        "2: COPY --chown=app:app tool /: the image's `/etc/group` has no `app`"
    );
    let error = world
        .error("FROM scratch\nCOPY --chown=app tool /\n", &["tool"])
        .await;
    assert!(error.ends_with("has no `app`"), "{error}");

    // A user that an instruction before has made.
    let image = world
        .build(
            "FROM scratch\nCOPY passwd /etc/\nCOPY --chown=me passwd /x\n",
            &["passwd=me:x:8:9::/:"],
        )
        .await;
    check(&image.last(), &["-rw-r--r-- 8/9 12 x"]);
}

#[tokio::test]
async fn modes_are_octal_or_symbolic() {
    let world = World::with_base(&[MERGED]).await;
    for (mode, file) in [
        ("700", "-rwx------"),
        ("4755", "-rwsr-xr-x"),
        ("u=rwX,go=r", "-rwxr--r--"),
        ("a-x", "-rw-r--r--"),
    ] {
        let image = world
            .build(
                &format!("FROM base\nCOPY --chmod={mode} tool /bin/\n"),
                &["!tool"],
            )
            .await;
        assert_eq!(
            image.last(),
            [format!("{file} 0/0 0 usr/bin/tool")],
            "{mode}"
        );
    }
    let error = world
        .error("FROM base\nCOPY --chmod=9 tool /\n", &["tool"])
        .await;
    assert!(
        error.starts_with("2: COPY --chmod=9 tool /: `9` is no mode"),
        "{error}"
    );
}
