//! Statements of how images were made, attached to what is published.

use refit_oci::{Document, media_type};
use refit_testkit::registry::Fault;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    fixtures::{LINEAGE, SINGLE},
};

/// The statements about `team/IMAGE:latest`, as the tag for registries without lists of referrers names them.
fn statements(bench: &Bench, repository: &str, image: &str) -> Vec<Value> {
    let repository = format!("{repository}/{image}");
    let index = bench.hub.tag(&repository, "latest").unwrap();
    let tag = format!("sha256-{}", index.hex());
    let Some(list) = bench.hub.tag(&repository, &tag) else {
        return Vec::new();
    };
    let listed = bench.index_at(&repository, &list).manifests;
    let statements = listed.iter().map(|entry| {
        assert_eq!(entry.artifact_type.as_deref(), Some(media_type::IN_TOTO));
        let bytes = bench.hub.document(&repository, &entry.digest).unwrap();
        let document = Document::decode(None, bytes).unwrap();
        let Document::Manifest(manifest) = document else {
            panic!("{entry:?} is no manifest");
        };
        assert_eq!(manifest.value.subject.unwrap().digest, index);
        let layer = &manifest.value.layers[0];
        assert_eq!(
            layer.annotations["in-toto.io/predicate-type"],
            "https://slsa.dev/provenance/v1"
        );
        let statement = bench.hub.blob(&repository, &layer.digest).unwrap();
        serde_json::from_slice(&statement).unwrap()
    });
    statements.collect()
}

#[test]
fn what_is_published_says_how_it_was_made() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(LINEAGE);
    shop.refit(&["build", "--push"]).exits(0);
    let commit = shop.git(&["rev-parse", "HEAD"]);
    bench.push_base("1", "one", "two");
    let swept = shop.refit(&["sweep", "--format", "json"]).exits(0).json();

    let web = statements(&bench, "team", "web");
    assert_eq!(web.len(), 1);
    let (index, manifests) = (bench.published("web"), bench.manifests("web"));
    let name = bench.hosted("HUB/team/web");
    let subject =
        |digest: &refit_oci::Digest| json!({ "name": name, "digest": { "sha256": digest.hex() } });
    assert_eq!(
        web[0]["subject"],
        json!([subject(&index), subject(&manifests["linux/arm64"])])
    );
    let predicate = &web[0]["predicate"];
    let parameters = &predicate["buildDefinition"]["externalParameters"];
    assert_eq!(
        *parameters,
        json!({ "image": "web", "line": "main", "commit": commit.trim() })
    );
    let mut kept = subject(&manifests["linux/amd64"]);
    kept["annotations"] = json!({ "kind": "kept", "platform": "linux/amd64" });
    let base = &bench.manifests("base")["linux/arm64"];
    let host = bench.hub.host().replace(':', "%3A");
    assert_eq!(
        predicate["buildDefinition"]["resolvedDependencies"],
        json!([
            kept,
            {
                "uri": format!("pkg:docker/{host}/team/base@latest?platform=linux%2Farm64"),
                "digest": { "sha256": base.hex() },
                "annotations": { "kind": "base" },
            },
            { "name": "source", "digest": { "gitCommit": commit.trim() } },
        ])
    );
    let run = &predicate["runDetails"];
    assert_eq!(run["metadata"]["invocationId"], swept["run"]);
    assert_eq!(run["builder"]["id"], "https://refit.dev/builder/native");
    shop.refit(&["sweep"]).exits(0).mentions("nothing to do");
}

#[test]
fn a_registry_that_takes_no_statement_is_told_of_and_can_do_without() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let no = Fault::Status(400);
    bench
        .hub
        .fail("PUT", "/v2/team/web/manifests/sha256-", 1, no);
    shop.refit(&["build", "--push"])
        .exits(1)
        .mentions("its provenance could not be attached")
        .mentions("`provenance = false`");
    assert_eq!(bench.hub.tag("team/web", "latest"), None);
    shop.write(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\", \"HUB/spare\"]\n[[image]]\nname = \"web\"\n\
         context = \"web\"\nprovenance = false\n",
    );
    shop.commit("Do without");
    shop.refit(&["build", "--push"]).exits(0);
    assert_eq!(statements(&bench, "team", "web"), [] as [Value; 0]);

    // Where there is one, further registries get it, too.
    shop.write(
        "//- .config/refit.toml\nversion = 1\npush-to = [\"HUB/team\", \"HUB/spare\"]\n[[image]]\nname = \"web\"\n\
         context = \"web\"\n//- web/page\ntwo\n",
    );
    shop.commit("Say it again");
    shop.refit(&["build", "--push"]).exits(0);
    let lead = statements(&bench, "team", "web");
    assert_eq!(lead.len(), 1);
    assert_eq!(lead, statements(&bench, "spare", "web"));
}
