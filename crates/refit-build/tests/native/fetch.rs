//! What ADD fetches: only what a digest names, with the transport's patience.

use refit_build::{
    engine::EngineError,
    native::{LayerTables, NativeEngine},
};
use refit_context::gzip_deterministic;
use refit_oci::Digest;
use refit_registry::{Downloads, Patience, Settings};
use refit_testkit::registry::{Fault, Options, TestRegistry};

use super::{
    fixture::{Image, Wanted, World, told},
    peers::archive,
};

/// Files on a web server: what is tagged in a registry's repository `web`.
pub(crate) struct Web {
    server: TestRegistry,
}

impl Web {
    pub(crate) fn start() -> Self {
        Self {
            server: TestRegistry::start(Options::default()),
        }
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let digest = Digest::sha256(bytes);
        self.server
            .put_raw("web", &digest, "application/octet-stream", bytes);
        self.server.tag_raw("web", name, &digest);
    }

    /// A text with the server's address for `WEB` and the digest of a file for `SUM:name`.
    pub(crate) fn fill_in(&self, text: &str) -> String {
        let mut text = text.replace(
            "WEB",
            &format!("http://{}/v2/web/manifests", self.server.host()),
        );
        let mut names = self.server.tags("web");
        // One may begin as another.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in names {
            let digest = self.server.tag("web", &name).unwrap();
            text = text.replace(&format!("SUM:{name}"), digest.as_str());
        }
        text
    }
}

async fn world() -> (World, Web) {
    let mut world = World::with_base(&[&["etc/"]]).await;
    let patience = Patience {
        pause: std::time::Duration::from_millis(1),
        ..Patience::default()
    };
    let downloads = Downloads::new(Settings {
        patience,
        ..Settings::default()
    });
    world.engine = NativeEngine::with(LayerTables::default(), downloads);
    let web = Web::start();
    web.put("tool", b"#!/bin/sh\n");
    (world, web)
}

async fn build(world: &World, web: &Web, instruction: &str) -> Result<Image, String> {
    let text = web.fill_in(&format!("FROM base\n{instruction}\n"));
    let built = world.try_build(&Wanted::of(&text, &["a=a"])).await;
    built.map_err(|error| match error {
        EngineError::Instruction { .. } | EngineError::Refused(_) => told(&text, error),
        other => format!("{other:?}"),
    })
}

#[tokio::test]
async fn a_file_that_its_digest_names_is_nobodys_but_roots_and_of_1970() {
    let (world, web) = world().await;
    let image = build(&world, &web, "ADD --checksum=SUM:tool WEB/tool /bin/")
        .await
        .unwrap();
    assert_eq!(
        image.last(),
        ["drwxr-xr-x 0/0 0 bin/", "-rw------- 0/0 10 bin/tool"]
    );
    assert_eq!(image.read("bin/tool"), "#!/bin/sh\n");
    let again = build(&world, &web, "ADD --checksum=SUM:tool WEB/tool /bin/")
        .await
        .unwrap();
    assert_eq!(again.built.config, image.built.config);
}

#[tokio::test]
async fn an_archive_is_unpacked_where_that_is_asked_for() {
    let (world, web) = world().await;
    let mut gzip = Vec::new();
    gzip_deterministic(archive().as_slice(), &mut gzip).unwrap();
    web.put("files.tar.gz", &gzip);
    let add = "ADD --checksum=SUM:files.tar.gz";
    let kept = build(&world, &web, &format!("{add} WEB/files.tar.gz /x/"))
        .await
        .unwrap();
    assert_eq!(kept.last_paths(), ["x/", "x/files.tar.gz"]);
    let unpacked = build(
        &world,
        &web,
        &format!("{add} --unpack WEB/files.tar.gz /x/"),
    )
    .await;
    assert!(
        unpacked
            .unwrap()
            .last_paths()
            .contains(&"x/bin/unpacked".to_owned())
    );
}

#[tokio::test]
async fn a_server_that_fails_redirects_or_breaks_off_is_asked_again() {
    let (world, web) = world().await;
    web.put("large", &vec![b'x'; 3 << 20]);
    let fail = |fault| web.server.fail("GET", "large", 1, fault);
    fail(Fault::Status(503));
    fail(Fault::Disconnect);
    fail(Fault::Truncated(2 << 20));
    fail(Fault::Redirect(web.fill_in("WEB/large")));
    let image = build(&world, &web, "ADD --checksum=SUM:large WEB/large /x")
        .await
        .unwrap();
    assert_eq!(image.last(), ["-rw------- 0/0 3145728 x"]);
    assert_eq!(web.server.faults_left(), 0);
}

#[tokio::test]
async fn what_is_not_what_it_should_be_is_an_error_at_the_instruction() {
    let (world, web) = world().await;
    web.put("other", b"other");
    for (instruction, expect) in [
        (
            "ADD --checksum=SUM:other WEB/tool /x",
            "`WEB/tool` was damaged or forged: its content is `SUM:tool`",
        ),
        (
            "ADD --checksum=SUM:tool WEB/gone /x",
            "`WEB/gone` does not exist",
        ),
        (
            "ADD --checksum=SUM:tool ftp://e.com/x /x",
            "`--checksum` is for URLs",
        ),
        (
            "ADD --checksum=x WEB/tool /x",
            "what a URL holds may change",
        ),
        (
            "ADD WEB/tool /x",
            "what a URL holds may change (say what it is with `--checksum=sha256:…`; the docker engine can run it)",
        ),
        ("ADD --checksum=SUM:tool a /x", "`--checksum` is for URLs"),
        (
            "ADD --checksum=SUM:tool WEB/tool WEB/tool /x/",
            "`--checksum` is for one source",
        ),
        (
            "ADD https://e.com/r.git#v1 /x",
            "the native engine clones nothing (the docker engine can run it)",
        ),
        (
            "ADD --keep-git-dir=true https://e.com/r.git /x",
            "the native engine clones nothing",
        ),
    ] {
        let error = build(&world, &web, instruction).await.err().unwrap();
        assert!(
            error.contains(&web.fill_in(expect)),
            "{instruction}: {error}"
        );
    }
}
