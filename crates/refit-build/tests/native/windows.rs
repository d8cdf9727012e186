//! Windows images: their layers' form, their paths, and what the real BuildKit makes of the same Dockerfiles.

use std::{collections::BTreeMap, fs::File, path::Path};

use flate2::read::GzDecoder;
use refit_build::{
    docker::{Address, DockerEngine},
    engine::{Built, Engine as _, LayerSource},
};
use refit_oci::Platform;
use refit_testkit::engines::{Dockerd, Version};

use super::fixture::{Image, Wanted, World};

const BASE: &[&str] = &[
    "Files/",
    "Files/Windows/",
    "Files/Windows/System32/",
    "Files/Windows/System32/cmd.exe=cmd",
    "Files/alias.exe == Files/Windows/System32/cmd.exe",
    "Hives/",
    "Hives/Software_Delta=registry",
    "UtilityVM/",
    "UtilityVM/boot=vm",
];

fn platform() -> Platform {
    "windows(10.0.20348.2340)/amd64".parse().unwrap()
}

async fn world() -> World {
    let mut world = World::new();
    let config = r#"{"Env":["PATH=C:\\Windows\\system32;C:\\Windows"],"User":"ContainerUser","WorkingDir":"C:\\"}"#;
    world.base_for(&platform(), "base", &[BASE], config).await;
    world
        .base_for(&Platform::linux_amd64(), "linux", &[&["etc/"]], "{}")
        .await;
    world
}

fn wanted<'a>(dockerfile: &'a str, context: &'a [&'a str]) -> Wanted<'a> {
    Wanted {
        platform: platform(),
        ..Wanted::of(dockerfile, context)
    }
}

async fn build(world: &World, dockerfile: &str, context: &[&str]) -> Image {
    let built = world.try_build(&wanted(dockerfile, context)).await;
    built.unwrap_or_else(|error| panic!("{error:?}\n{dockerfile}"))
}

#[tokio::test]
async fn files_lie_below_files_with_all_folders_above_them() {
    let world = world().await;
    let text = "# escape=`\nFROM base\nUSER 0\nCOPY a.txt C:\\Windows\\System32\\new\\\nWORKDIR \\data\n\
        COPY conf\\x *.txt C:conf\\\nCMD dir\n";
    let context = ["a.txt=a", "conf/x=x"];
    let image = build(&world, text, &context).await;
    let roots = ["d--------- 0/0 0 Hives/", "d--------- 0/0 0 Files/"];
    let layers = image.layers();
    assert_eq!(
        layers[0],
        [
            roots[0],
            roots[1],
            "drwxr-xr-x 0/0 0 Files/Windows/",
            "drwxr-xr-x 0/0 0 Files/Windows/System32/",
            "drwxr-xr-x 0/0 0 Files/Windows/System32/new/",
            "-rw-r--r-- 0/0 1 Files/Windows/System32/new/a.txt",
        ]
    );
    assert_eq!(
        layers[1],
        [roots[0], roots[1], "drwxr-xr-x 0/0 0 Files/data/"]
    );
    assert_eq!(
        layers[2],
        [
            roots[0],
            roots[1],
            "drwxr-xr-x 0/0 0 Files/data/",
            "drwxr-xr-x 0/0 0 Files/data/conf/",
            "-rw-r--r-- 0/0 1 Files/data/conf/a.txt",
            "-rw-r--r-- 0/0 1 Files/data/conf/x",
        ]
    );
    assert_eq!(
        image.history(),
        [
            "base",
            "-USER 0",
            "COPY a.txt C:\\Windows\\System32\\new\\ # buildkit",
            "WORKDIR /data",
            "COPY conf\\x *.txt C:conf\\ # buildkit",
            "-CMD [\"cmd\" \"/S\" \"/C\" \"dir\"]"
        ]
    );
    let config = image.config();
    assert_eq!(config["WorkingDir"], "\\data");
    assert_eq!(config["Cmd"], serde_json::json!(["cmd", "/S", "/C", "dir"]));
    assert_eq!(config["Env"].as_array().unwrap().len(), 1);
    assert_eq!(image.built.image.platform(), platform());

    let again = build(&world, text, &context).await;
    assert_eq!(again.built.config, image.built.config);
}

#[tokio::test]
async fn what_windows_cannot_have_is_refused_where_it_is_asked_for() {
    let world = world().await;
    for (text, context, expect) in [
        (
            "FROM base\nCOPY l /l\n",
            &["l -> x", "x=1"][..],
            "2: COPY l /l: `/l` is no",
        ),
        (
            "FROM base\nCOPY d /d\n",
            &["d/l -> x"],
            "2: COPY d /d: `d/l` is a symbolic link, which a Windows image cannot have",
        ),
        (
            "FROM base\nCOPY x D:/x\n",
            &["x=1"],
            "2: COPY x D:/x: `D:/x` is not on the drive `C:`, the only one that an image has",
        ),
        (
            "FROM base\nWORKDIR //server/share\n",
            &[],
            "2: WORKDIR //server/share: `//server/share` is a network path, and no image has those",
        ),
        (
            "FROM base\nCOPY x C:\n",
            &["x=1"],
            "2: COPY x C:: `C:` is a drive without a path on it",
        ),
    ] {
        match world.try_build(&wanted(text, context)).await {
            // A link that is named itself is followed.
            Ok(image) => assert_eq!(
                image.last_paths(),
                ["Hives/", "Files/", "Files/l"],
                "{text}"
            ),
            Err(error) => assert_eq!(super::fixture::told(text, error), expect),
        }
    }
}

/// What both make alike. (26.1 forgets the backslash that ends a destination, and sets a PATH where the base has none.)
const SAME: &str = "\
# escape=`
FROM --platform=linux/amd64 linux AS tools
COPY run.cmd /out/tool
FROM base
ARG NAME=web
ENV APP=C:\\app
LABEL of=$NAME
WORKDIR C:\\app
COPY run.cmd C:\\app\\run.cmd
COPY conf conf
COPY conf\\sub\\c deep\\er\\c
COPY --from=tools /out/tool C:\\Windows\\System32\\tool.exe
COPY --from=base alias.exe copy.exe
COPY --chmod=600 run.cmd C:/Windows/twice.cmd
WORKDIR logs
EXPOSE 80
SHELL [\"powershell\", \"-Command\"]
CMD echo $NAME
ENTRYPOINT [\"C:\\\\app\\\\run.cmd\"]
STOPSIGNAL SIGTERM
";

#[tokio::test]
async fn needs_engine_docker26_builds_the_same_windows_layers() {
    let dockerd = Dockerd::start(Version::V26Containerd).unwrap();
    let address: Address = dockerd.host().parse().unwrap();
    let docker = DockerEngine::connect(&address).await.unwrap();
    let mut world = world().await;
    let config = r#"{"Env":["PATH=C:\\Windows"],"WorkingDir":"C:\\"}"#;
    world.base_for(&platform(), "base", &[BASE], config).await;
    let context = ["!run.cmd=@echo", "conf/a.conf=a", "conf/sub/c=c"];
    let recipe = || world.recipe(&wanted(SAME, &context));
    let native = world.engine.build(&recipe(), &mut Vec::new()).await;
    let native = native.unwrap();
    let mut log = Vec::new();
    let docker = docker.build(&recipe(), &mut log).await;
    let docker =
        docker.unwrap_or_else(|error| panic!("{error:?}\n{}", String::from_utf8_lossy(&log)));

    let (ours, theirs) = (own_members(&native), own_members(&docker));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    let of_config = |built: &Built| serde_json::to_value(&built.image.config).unwrap();
    assert_eq!(of_config(&native), of_config(&docker));
    assert_eq!(native.image.platform(), docker.image.platform());
}

/// Every member of every own layer: path, mode with its kind, size, link, and Windows' records.
fn own_members(built: &Built) -> Vec<BTreeMap<String, String>> {
    let own = built.layers.iter().filter_map(|layer| match &layer.source {
        LayerSource::File(path) => Some(members(path)),
        LayerSource::Base(_) | LayerSource::There => None,
    });
    own.collect()
}

fn members(layer: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(layer).unwrap()));
    let members = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let path = path.trim_end_matches('/').to_owned();
        let records = entry.pax_extensions().unwrap().into_iter().flatten();
        let records: Vec<String> = records
            .map(|record| record.unwrap())
            .filter(|record| record.key().unwrap().starts_with("MSWINDOWS."))
            .map(|record| format!("{}={}", record.key().unwrap(), record.value().unwrap()))
            .collect();
        let header = entry.header();
        let told = format!(
            "{:?} {:o} {}:{} {} {records:?}",
            header.entry_type(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.size().unwrap(),
        );
        (path, told)
    });
    members.collect()
}
