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

fn openssl(folder: &std::path::Path, args: &[&str]) -> String {
    let output = std::process::Command::new("openssl")
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A new private key; its public half has `.pub` behind its name.
fn key(bench: &Bench, name: &str) -> String {
    let folder = bench.folder();
    let curve = "ec_paramgen_curve:P-256";
    openssl(
        folder,
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            curve,
            "-out",
            name,
        ],
    );
    let public = format!("{name}.pub");
    openssl(folder, &["pkey", "-in", name, "-pubout", "-out", &public]);
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn a_signed_statement_is_verified_with_its_key_alone() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let (ours, other) = (key(&bench, "ours"), key(&bench, "other"));
    let (ours_pub, other_pub) = (format!("{ours}.pub"), format!("{other}.pub"));
    shop.refit(&["build", "--push"]).exits(0);
    shop.refit(&["verify"]).exits(0);
    shop.refit(&["verify", "--key", &ours_pub])
        .exits(1)
        .mentions("not-signed");

    bench.push_base("1", "two", "two");
    let signing = [("REFIT_SIGNING_KEY", ours.as_str())];
    shop.refit_with(&signing, &["sweep"]).exits(0);
    shop.refit(&["verify", "--key", &ours_pub]).exits(0);
    shop.refit(&["verify", "--key", &other_pub])
        .exits(1)
        .mentions("signature-differs")
        .mentions("none of its signatures is of this key");

    // What is signed is what is attached, in the form that cosign reads.
    let repository = "team/web";
    let index = bench.published("web");
    let tag = format!("sha256-{}.att", index.hex());
    let signed = bench.hub.tag(repository, &tag).unwrap();
    let bytes = bench.hub.document(repository, &signed).unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.dsse.envelope.v1+json");
    assert_eq!(
        layer["annotations"],
        json!({
            "dev.cosignproject.cosign/signature": "",
            "predicateType": "https://slsa.dev/provenance/v1",
        })
    );
    let digest = layer["digest"].as_str().unwrap().parse().unwrap();
    let envelope = bench.hub.blob(repository, &digest).unwrap();
    let envelope: Value = serde_json::from_slice(&envelope).unwrap();
    assert_eq!(envelope["payloadType"], media_type::IN_TOTO);
    std::fs::write(
        bench.folder().join("payload"),
        envelope["payload"].as_str().unwrap(),
    )
    .unwrap();
    let payload = openssl(bench.folder(), &["base64", "-d", "-A", "-in", "payload"]);
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(statements(&bench, "team", "web"), [payload]);
}

#[test]
fn a_key_that_is_none_stops_a_run_before_it_begins() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    let missing = [("REFIT_SIGNING_KEY", "missing.pem")];
    shop.refit_with(&missing, &["build", "--push"])
        .exits(2)
        .mentions("REFIT_SIGNING_KEY")
        .mentions("openssl genpkey");
    assert_eq!(bench.writes(), 0);
    shop.refit(&["build", "--push"]).exits(0);
    let private = key(&bench, "key");
    shop.refit(&["verify", "--key", &private])
        .exits(2)
        .mentions("no P-256 public key")
        .mentions("openssl pkey");
}

#[test]
fn a_statement_that_says_something_else_is_found() {
    let bench = Bench::new();
    bench.push_base("1", "one", "one");
    let shop = bench.repository(SINGLE);
    shop.refit(&["build", "--push"]).exits(0);
    let repository = "team/web";
    let index = bench.published("web");
    let tag = format!("sha256-{}", index.hex());
    let list = bench.hub.tag(repository, &tag).unwrap();
    let entry = bench.index_at(repository, &list).manifests[0].clone();
    let bytes = bench.hub.document(repository, &entry.digest).unwrap();
    let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let mut statement = statements(&bench, "team", "web").remove(0);
    let parameters = "/predicate/buildDefinition/externalParameters/commit";
    *statement.pointer_mut(parameters).unwrap() = json!("0123456789012345678901234567890123456789");
    let forged = serde_json::to_vec(&statement).unwrap();
    let blob = bench.hub.put_blob(repository, media_type::IN_TOTO, &forged);
    manifest["layers"][0]["digest"] = json!(blob.digest);
    manifest["layers"][0]["size"] = json!(blob.size);
    let document = Document::decode(None, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let digest = bench.hub.put_document(repository, "forged", &document);
    let mut listed: Value =
        serde_json::from_slice(&bench.hub.document(repository, &list).unwrap()).unwrap();
    listed["manifests"][0]["digest"] = json!(digest);
    listed["manifests"][0]["size"] = json!(serde_json::to_vec(&manifest).unwrap().len());
    let document = Document::decode(None, serde_json::to_vec(&listed).unwrap()).unwrap();
    bench.hub.put_document(repository, &tag, &document);
    shop.refit(&["verify"])
        .exits(1)
        .mentions("provenance-differs")
        .mentions("its provenance says `012345678901`");
}
