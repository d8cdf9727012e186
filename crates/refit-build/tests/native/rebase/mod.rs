//! What is put on another base against what is built on it: by this engine to the byte, by Docker's to the file.

mod corpus;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream};
use refit_build::{
    docker::{Address, DockerEngine},
    engine::{Built, Engine as _, LayerSource, PinnedBase},
    rebase::{RebaseError, Rebased, Rebaser, Subject},
};
use refit_dockerfile::{StageBase, requirements};
use refit_oci::Digest;
use refit_testkit::engines::{Dockerd, Version};

use self::corpus::{CASES, CONTEXT, Case, NEW, OLD};
use super::{
    fixture::{Wanted, World, publish},
    peers::{described, history},
};

impl Case {
    fn executes(&self, world: &World) -> bool {
        let recipe = world.recipe(&Wanted::of(self.dockerfile, &[]));
        requirements(&recipe.file, &recipe.resolved)
            .iter()
            .any(|asked| asked.feature.executes_or_fetches())
    }
}

/// A world with all bases; `base` is the old one.
async fn world() -> World {
    let mut world = World::new();
    for (name, members, config) in std::iter::once(&OLD).chain(NEW) {
        world.base(name, &[members], config).await;
    }
    let (_, members, config) = OLD;
    world.base("base", &[members], config).await;
    world.base("other", &[&["etc/", "etc/other=1"]], "{}").await;
    world.base("tools", &[&["etc/"]], "{}").await;
    world
}

/// What a Dockerfile is on another base than the old one: the same with another pin.
fn on(case: &Case, base: &str) -> String {
    // The name is the reference, which is in no image.
    case.dockerfile
        .replace("FROM base", &format!("FROM {base}"))
}

fn subject(world: &World, case: &Case, published: &Digest, new: &str) -> Subject {
    let recipe = world.recipe(&Wanted::of(case.dockerfile, &[]));
    let StageBase::External(found) = recipe.resolved.base else {
        panic!("{}", case.name)
    };
    let pin = |repository: &str, manifest: &Digest| PinnedBase {
        found_index: found,
        registry: Arc::clone(&world.layout),
        repository: world.repository(repository),
        manifest: manifest.clone(),
    };
    Subject {
        published: pin("result", published),
        old: pin("base", &world.digest("base")),
        new: pin(new, &world.digest(new)),
        file: Arc::new(recipe.file),
        resolved: recipe.resolved,
        platform: recipe.platform,
        build_args: BTreeMap::new(),
        labels: BTreeMap::new(),
        found,
    }
}

#[tokio::test]
async fn what_is_proven_is_what_the_native_engine_builds_to_the_byte() {
    let world = world().await;
    let rebaser = Rebaser::default();
    let mut wrong = Vec::new();
    for case in CASES.iter().filter(|case| !case.executes(&world)) {
        let old = world.build(case.dockerfile, CONTEXT).await;
        let published = publish(&world, &old.built).await;
        let (mut refused, mut cautious) = (Vec::new(), Vec::new());
        for (name, ..) in NEW {
            let proven = rebaser
                .prove(&subject(&world, case, &published, name))
                .await;
            let built = world.try_build(&Wanted::of(&on(case, name), CONTEXT)).await;
            match (proven, built) {
                (Ok(result), Ok(image)) if is_same(&result, &image.built) => {}
                (Ok(_), built) => wrong.push(format!("{} on {name} is not {built:?}", case.name)),
                (Err(RebaseError::Refused(_)), Ok(image)) => {
                    // The layers of its own would be those that are published.
                    let own = |built: &Built| built.image.rootfs.diff_ids[1..].to_vec();
                    let is_same = own(&image.built) == own(&old.built);
                    let list = if is_same { &mut cautious } else { &mut refused };
                    list.push(*name);
                }
                (Err(RebaseError::Refused(_)), Err(_)) => refused.push(*name),
                (Err(error), _) => wrong.push(format!("{} on {name}: {error}", case.name)),
            }
        }
        let told = (refused.join(" "), cautious.join(" "));
        if (told.0.as_str(), told.1.as_str()) != (case.refused, case.cautious) {
            wrong.push(format!("{}: {told:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_same(rebased: &Rebased, built: &Built) -> bool {
    let layers = built.layers.iter().map(|layer| &layer.descriptor);
    rebased.config == built.config && layers.eq(&rebased.layers)
}

/// What the native engine's test alone says: an engine takes its time.
const LEFT_OUT: [&str; 11] = [
    "executes",
    "into a new folder",
    "owners by number",
    "a variable of the base",
    "relative to the base's folder",
    "a working folder of the base's user",
    "linked, and on top of it",
    "from a stage on the base",
    "from a stage on another image",
    "names of its own accounts",
    "leaves triggers",
];

/// How many builds an engine is given at once.
const N_BUILDS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn needs_engine_docker26_what_is_proven_is_what_docker_builds() {
    let dockerd = Dockerd::start(Version::V26Containerd).unwrap();
    let address: Address = dockerd.host().parse().unwrap();
    let docker = DockerEngine::connect(&address).await.unwrap();
    let mut world = world().await;
    world.busybox("tools").await;
    let (world, rebaser) = (&world, &Rebaser::default());
    let build = |dockerfile: String| {
        let docker = &docker;
        async move {
            let mut log = Vec::new();
            let recipe = world.recipe(&Wanted::of(&dockerfile, CONTEXT));
            docker.build(&recipe, &mut log).await
        }
    };
    let cases = CASES.iter().filter(|case| !LEFT_OUT.contains(&case.name));
    let compared = stream::iter(cases.enumerate()).map(|(number, case)| async move {
        let old = build(case.dockerfile.to_owned()).await.unwrap();
        let published = publish(world, &old).await;
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for (name, ..) in NEW {
            match rebaser.prove(&subject(world, case, &published, name)).await {
                Ok(result) => accepted.push((*name, result)),
                Err(_) => refused.push(*name),
            }
        }
        let expected = [case.refused, case.cautious, case.with_docker].join(" ");
        let expected: BTreeSet<&str> = expected.split_whitespace().collect();
        let mut wrong = Vec::new();
        if expected != refused.iter().copied().collect() {
            wrong.push(format!("{} is refused for {refused:?}", case.name));
        }
        // All of them would take minutes; the native engine's test has them.
        let n_accepted = accepted.len().max(1);
        for (name, result) in accepted.into_iter().skip(number % n_accepted).take(1) {
            match build(on(case, name)).await {
                Ok(new) => wrong.extend(differences(world, case, &result, (&old, &new)).await),
                Err(error) => wrong.push(format!("{} on {name}: {error:?}", case.name)),
            }
        }
        wrong
    });
    let wrong: Vec<Vec<String>> = compared.buffer_unordered(N_BUILDS).collect().await;
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In what a rebased image is another one than what was built.
async fn differences(
    world: &World,
    case: &Case,
    rebased: &Rebased,
    (old, built): (&Built, &Built),
) -> Vec<String> {
    let mut as_built = Built {
        config: rebased.config.clone(),
        image: rebased.image.clone(),
        layers: old.layers.clone(),
        attested: Vec::new(),
    };
    as_built
        .layers
        .retain(|layer| matches!(layer.source, LayerSource::File(_)));
    let base = built.layers.iter().take(rebased.n_of_base).cloned();
    as_built.layers.splice(0..0, base);
    let (ours, theirs) = (
        world.tree("base", &as_built).await,
        world.tree("base", built).await,
    );
    let files = (described(&ours), described(&theirs));
    let config = |built: &Built| serde_json::to_string(&built.image.config).unwrap();
    let same = [
        ("files", files.0 == files.1),
        ("config", config(&as_built) == config(built)),
        ("history", history(&as_built) == history(built)),
        (
            "platform",
            as_built.image.platform() == built.image.platform(),
        ),
    ];
    let wrong = same.iter().filter(|(_, is_same)| !is_same);
    let told = wrong.map(|(what, _)| {
        format!(
            "{}: {what}: {files:?} {:?} {:?}",
            case.name,
            history(&as_built),
            history(built)
        )
    });
    told.collect()
}
