//! What gets into a layer: folders, patterns, here-documents, archives, what was removed below.

use std::io::Write as _;

use refit_context::{TarEntry, TarKind, TarWriter};

use super::fixture::World;

const SITE: &[&str] = &[
    "site/index.html=hello",
    "site/css/a.css",
    "site/link -> index.html",
    "!run.sh",
    "a.txt",
    "b.txt",
];

#[tokio::test]
async fn a_folder_gives_its_contents_and_a_list_of_sources_its_members() {
    let world = World::new();
    let copy = async |operands: &str| {
        world
            .build(&format!("FROM scratch\nCOPY {operands}\n"), SITE)
            .await
            .last()
    };
    let whole = [
        "drwxr-xr-x 0/0 0 www/",
        "drwxr-xr-x 0/0 0 www/css/",
        "-rw-r--r-- 0/0 0 www/css/a.css",
        "-rw-r--r-- 0/0 5 www/index.html",
        "lrwxrwxrwx 0/0 0 www/link -> index.html",
    ];
    assert_eq!(copy("site /www").await, whole);
    assert_eq!(copy("site/ /www/").await, whole);
    assert_eq!(copy("[\"site\", \"/www\"]").await, whole);
    assert_eq!(
        copy("*.txt run.sh site/css /all/").await,
        [
            "drwxr-xr-x 0/0 0 all/",
            "-rw-r--r-- 0/0 0 all/a.css",
            "-rw-r--r-- 0/0 0 all/a.txt",
            "-rw-r--r-- 0/0 0 all/b.txt",
            "-rwxr-xr-x 0/0 0 all/run.sh",
        ]
    );
    assert_eq!(copy("site/link /page").await, ["-rw-r--r-- 0/0 5 page"]);
}

#[tokio::test]
async fn parents_exclude_and_link() {
    let world = World::with_base(&[&["www/", "700 5:5 data/", "data/old", "bin -> www"]]).await;
    let build = async |line: &str| world.build(&format!("FROM base\n{line}\n"), SITE).await;
    let paths = async |line: &str| build(line).await.last_paths();
    assert_eq!(
        paths("COPY --parents site/css/a.css ./site/./link /x/").await,
        [
            "x/",
            "x/link -> index.html",
            "x/site/",
            "x/site/css/",
            "x/site/css/a.css"
        ]
    );
    assert_eq!(
        paths("COPY --exclude=**/*.css --exclude=*.txt . /x/").await,
        [
            "x/",
            "x/run.sh",
            "x/site/",
            "x/site/css/",
            "x/site/index.html",
            "x/site/link -> index.html"
        ]
    );
    // A linked layer knows nothing of what is below: its folders are new ones, and the base's link is replaced.
    let linked = build("COPY --link a.txt /bin/\nCOPY b.txt /bin/\nCOPY a.txt /data/").await;
    let layers = linked.layers();
    assert_eq!(
        layers[0],
        ["drwxr-xr-x 0/0 0 bin/", "-rw-r--r-- 0/0 0 bin/a.txt"]
    );
    assert_eq!(layers[1], ["-rw-r--r-- 0/0 0 bin/b.txt"]);
    assert_eq!(layers[2], ["-rw-r--r-- 0/0 0 data/a.txt"]);
}

#[tokio::test]
async fn here_documents_are_files() {
    let world = World::new();
    let image = world
        .build(
            "FROM scratch\nENV NAME=you\nCOPY --chmod=755 <<run.sh <<-'raw' a.txt /x/\n#!/bin/sh\necho \"$NAME\"\nrun.sh\n\
             \t$NAME\n\traw\nCOPY <<ONE /etc/one\nONE\n",
            SITE,
        )
        .await;
    assert_eq!(
        image.layers()[0],
        [
            "drwxr-xr-x 0/0 0 x/",
            "-rwxr-xr-x 0/0 0 x/a.txt",
            "-rwxr-xr-x 0/0 6 x/raw",
            "-rwxr-xr-x 0/0 21 x/run.sh",
        ]
    );
    assert_eq!(image.read("x/run.sh"), "#!/bin/sh\necho \"you\"\n");
    assert_eq!(image.read("x/raw"), "$NAME\n");
    assert_eq!(
        image.last(),
        ["drwxr-xr-x 0/0 0 etc/", "-rw-r--r-- 0/0 0 etc/one"]
    );
    assert_eq!(
        image.history()[1],
        "COPY --chmod=755 a.txt <<run.sh <<raw /x/ # buildkit"
    );
}

#[tokio::test]
async fn what_lower_layers_removed_is_not_there() {
    let world = World::with_base(&[
        &["etc/", "etc/a=1", "etc/b=2", "lib/", "lib/x", "old -> /etc"],
        &["etc/.wh.a", "lib/.wh..wh..opq", "lib/y", ".wh.old"],
    ])
    .await;
    let image = world
        .build("FROM scratch\nCOPY --from=base / /\n", &[])
        .await;
    assert_eq!(
        image.last(),
        [
            "drwxr-xr-x 0/0 0 etc/",
            "-rw-r--r-- 0/0 1 etc/b",
            "drwxr-xr-x 0/0 0 lib/",
            "-rw-r--r-- 0/0 0 lib/y",
        ]
    );
    // The link that would have led to /etc is gone.
    let image = world.build("FROM base\nCOPY a.txt /old/\n", SITE).await;
    assert_eq!(
        image.last(),
        ["drwxr-xr-x 0/0 0 old/", "-rw-r--r-- 0/0 0 old/a.txt"]
    );
}

#[tokio::test]
async fn metadata_of_an_image_comes_along() {
    let world = World::with_base(&[&[
        "2750 3:4 app/",
        "4755 3:4 app/tool=bin",
        "app/same == app/tool",
        "5:6 app/link -> tool",
    ]])
    .await;
    let image = world
        .build(
            "FROM scratch\nCOPY --from=base /app /opt/app\nCOPY --from=base /app /opt/\n",
            &[],
        )
        .await;
    assert_eq!(
        image.layers()[0],
        [
            "drwxr-xr-x 0/0 0 opt/",
            "drwxr-xr-x 0/0 0 opt/app/",
            "lrwxrwxrwx 5/6 0 opt/app/link -> tool",
            "-rwsr-xr-x 3/4 3 opt/app/same",
            "hrwsr-xr-x 3/4 0 opt/app/tool link to opt/app/same",
        ]
    );
    assert_eq!(image.read("opt/app/same"), "bin");
}

#[tokio::test]
async fn add_unpacks_archives_and_copies_everything_else() {
    let world =
        World::with_base(&[&["usr/", "usr/bin/", "bin -> usr/bin", "conf/", "conf/x"]]).await;
    let plain = archive();
    let gzip = {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&plain).unwrap();
        gzip.finish().unwrap()
    };
    for (name, bytes) in [("files.tar", &plain), ("files.bin", &gzip)] {
        let image = build_with(
            &world,
            &format!("FROM base\nADD {name} /\nADD --chown=9 {name} /opt/x\n"),
            name,
            bytes,
        )
        .await;
        let layers = image.unwrap().layers();
        assert_eq!(
            layers[0],
            [
                "-rw-r----- 3/4 5 1970-01-02 00:00:00 conf",
                "drwxr-xr-x 0/0 0 new/",
                "-rw-r----- 3/4 5 1970-01-02 00:00:00 new/deep",
                "-rw-r----- 3/4 5 1970-01-02 00:00:00 usr/bin/tool",
            ]
        );
        assert_eq!(
            layers[1],
            [
                "drwxr-xr-x 9/9 0 opt/",
                "drwxr-xr-x 9/9 0 opt/x/",
                "drwxr-xr-x 0/0 0 opt/x/bin/",
                "-rw-r----- 9/9 5 1970-01-02 00:00:00 opt/x/bin/tool",
                "-rw-r----- 9/9 5 1970-01-02 00:00:00 opt/x/conf",
                "drwxr-xr-x 0/0 0 opt/x/new/",
                "-rw-r----- 9/9 5 1970-01-02 00:00:00 opt/x/new/deep",
            ]
        );
    }
    let as_it_is = build_with(
        &world,
        "FROM base\nADD --unpack=false f /\nCOPY f /g\n",
        "f",
        &gzip,
    )
    .await
    .unwrap();
    assert_eq!(
        as_it_is.layers()[0],
        [format!("-rw-r--r-- 0/0 {} f", gzip.len())]
    );
    let text = build_with(&world, "FROM base\nADD f /x\n", "f", b"text")
        .await
        .unwrap();
    assert_eq!(text.last(), ["-rw-r--r-- 0/0 4 x"]);

    let xz = build_with(&world, "FROM base\nADD f /x\n", "f", b"\xfd7zXZ\0rest").await;
    assert_eq!(xz.unwrap().last(), ["-rw-r--r-- 0/0 10 x"], "no xz");
    let cut = build_with(&world, "FROM base\nADD f /\n", "f", &plain[..1200]).await;
    assert!(
        cut.err()
            .unwrap()
            .starts_with("2: ADD f /: `/f` cannot be unpacked: ")
    );
}

/// A tar of `bin/tool`, `conf` and `new/deep`, of the second day of 1970.
fn archive() -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for path in ["bin/tool", "conf", "new/deep"] {
        let mut entry = TarEntry::new(path, TarKind::File { size: 5 }, 0o640);
        (entry.uid, entry.gid, entry.mtime) = (3, 4, 86_400);
        tar.append(&entry, &b"12345"[..]).unwrap();
    }
    tar.finish().unwrap()
}

/// Builds with one binary file as the context.
async fn build_with(
    world: &World,
    dockerfile: &str,
    name: &str,
    bytes: &[u8],
) -> Result<super::fixture::Image, String> {
    use refit_build::engine::Engine as _;

    let mut recipe = world.recipe(&super::fixture::Wanted::of(dockerfile, &[]));
    let path = recipe.work_dir.join("context.tar");
    let mut tar = TarWriter::new(std::fs::File::create(&path).unwrap());
    tar.append(&TarEntry::file(name, bytes.len() as u64), bytes)
        .unwrap();
    tar.finish().unwrap();
    recipe.context.path = path;
    let mut log = Vec::new();
    let built = world.engine.build(&recipe, &mut log).await;
    let log = String::from_utf8(log).unwrap();
    match built {
        Ok(built) => Ok(super::fixture::Image { built, log }),
        Err(error) => Err(super::fixture::told(dockerfile, error)),
    }
}
