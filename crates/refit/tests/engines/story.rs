//! The main story, once on each engine: released, patched on one platform, left alone, rolled back, taken over.

use std::collections::{BTreeMap, BTreeSet};

use refit_oci::Digest;
use refit_testkit::engines::Version;
use serde_json::{Value, json};

use crate::{
    bench::Bench,
    hub::{Hub, text},
    lineage,
};

const IMAGES: [&str; 3] = ["base", "web", "shop"];

#[test]
fn needs_engine_docker20_a_lineage_is_released_patched_and_left_alone() {
    story(Version::V20);
}

#[test]
fn needs_engine_docker26_a_lineage_is_released_patched_and_left_alone() {
    story(Version::V26);
}

#[test]
fn needs_engine_docker26_with_containerds_image_store_a_lineage_is_released_patched_and_left_alone()
{
    story(Version::V26Containerd);
}

fn story(version: Version) {
    let hub = Hub::start();
    hub.push_base("1", "1");
    let bench = Bench::with_engine(version);
    lineage::write(&bench, &hub);
    bench.commit("three images");
    let story = Story { hub, bench };
    let released = story.is_released();
    story.ran_on_both_platforms();
    story.sent_no_layer_of_the_base();
    story.is_recorded();
    let patched = story.is_patched_on_arm64(&released);
    story.is_left_alone();
    story.a_rollback_is_left_alone(&released, &patched);
    story.is_taken_over(&released, &patched);
    assert_eq!(story.bench.left_in_engine(), (Vec::new(), 0));
}

/// The platforms' manifests of each image.
type Manifests = BTreeMap<&'static str, BTreeMap<String, String>>;

struct Story {
    hub: Hub,
    bench: Bench,
}

impl Story {
    fn latest(image: &str) -> String {
        format!("team/{image}:latest")
    }

    fn manifests(&self) -> Manifests {
        IMAGES
            .map(|image| (image, self.hub.manifests(&Self::latest(image))))
            .into()
    }

    fn indexes(&self) -> BTreeMap<&'static str, Digest> {
        IMAGES
            .map(|image| (image, self.hub.digest(&Self::latest(image))))
            .into()
    }

    /// All that a run could have written: every tag with its digest, and both notes refs.
    fn everything(&self) -> (Vec<BTreeMap<String, Digest>>, String) {
        let tags = IMAGES.map(|image| self.hub.tags(&format!("team/{image}")));
        let notes = self
            .bench
            .git(&["for-each-ref", "refs/notes"])
            .exits(0)
            .line();
        (tags.into(), notes)
    }

    fn is_released(&self) -> Manifests {
        self.bench
            .refit(&["status", "--exit-code"])
            .exits(0)
            .mentions("unpublished");
        let ran = self
            .bench
            .refit(&["build", "--push", "--format", "json"])
            .exits(0)
            .json();
        assert_eq!(ran["failed"], json!([]));
        let names: Vec<_> = ran["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| text(&i["name"]))
            .collect();
        assert_eq!(names, IMAGES, "parents first");

        let commit = self.bench.git(&["rev-parse", "HEAD"]).line();
        for image in IMAGES {
            let index = self.hub.json(&Self::latest(image));
            assert_eq!(index["annotations"]["dev.refit.image"], image);
            assert_eq!(index["annotations"]["dev.refit.line"], "main");
            assert_eq!(
                index["annotations"]["org.opencontainers.image.revision"],
                commit
            );
            assert_eq!(index["annotations"]["dev.refit.replaces"], Value::Null);
            let manifests = self.hub.manifests(&Self::latest(image));
            assert_eq!(manifests.keys().collect::<Vec<_>>(), ["amd64", "arm64"]);
            let staged: BTreeSet<String> = self
                .hub
                .tags(&format!("team/{image}"))
                .into_iter()
                .filter(|(tag, _)| tag.starts_with("refit-"))
                .map(|(_, digest)| digest.to_string())
                .collect();
            assert_eq!(staged, manifests.values().cloned().collect(), "{image}");
        }
        let base = self.hub.json("team/base:latest");
        let name = format!("{}/base/os:1", self.hub.host());
        assert_eq!(
            base["annotations"]["org.opencontainers.image.base.name"],
            name
        );
        assert_eq!(
            base["annotations"]["org.opencontainers.image.base.digest"],
            self.hub.digest("base/os:1").to_string()
        );
        self.bench
            .refit(&["status", "--exit-code"])
            .exits(0)
            .mentions("none of 6 targets is stale");
        let again = self.bench.refit(&["build", "--push"]).exits(0);
        again.mentions("nothing to build: 6 targets are published as the commit has them");
        self.manifests()
    }

    fn ran_on_both_platforms(&self) {
        for (architecture, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
            let manifest =
                |image: &str| self.hub.manifests(&Self::latest(image))[architecture].clone();
            let built_on = self
                .hub
                .file("team/base", &manifest("base"), "etc/built-on");
            assert_eq!(built_on, Some(format!("{machine}\n")));
            let greeting = self.hub.file("team/web", &manifest("web"), "site/greeting");
            assert_eq!(greeting, Some(format!("web says hello on {machine}\n")));
            // What a parent left is what a child finds.
            let sum = self
                .hub
                .file("team/shop", &manifest("shop"), "etc/sum")
                .unwrap();
            let expected = Digest::sha256(greeting.unwrap().as_bytes());
            assert_eq!(sum, format!("{}  greeting\n", expected.hex()));

            let shop = self.hub.config(&Self::latest("shop"), architecture);
            assert_eq!(
                (&shop["os"], &shop["architecture"]),
                (&json!("linux"), &json!(architecture))
            );
            let config = &shop["config"];
            assert_eq!(config["User"], "nobody");
            assert_eq!(config["WorkingDir"], "/site");
            assert_eq!(config["Cmd"], json!(["cat", "greeting"]));
            assert_eq!(config["Labels"]["shop"], "open");
            let environment = config["Env"].as_array().unwrap();
            assert!(
                environment.contains(&json!("SITE=/site"))
                    && environment.contains(&json!("PATH=/bin"))
            );
        }
    }

    fn sent_no_layer_of_the_base(&self) {
        let requests = self.hub.requests();
        for manifest in self.hub.manifests("base/os:1").values() {
            let base = self.hub.json(&format!("base/os@{manifest}"));
            let layer = text(&base["layers"][0]["digest"]);
            for (image, from) in [
                ("base", "base%2Fos"),
                ("web", "team%2Fbase"),
                ("shop", "team%2Fweb"),
            ] {
                let manifests = self.hub.manifests(&Self::latest(image));
                let first = |m: &String| {
                    text(&self.hub.json(&format!("team/{image}@{m}"))["layers"][0]["digest"])
                };
                assert!(
                    manifests.values().any(|m| first(m) == layer),
                    "{image} begins with the base's own layer"
                );
                let mount = layer.replace(':', "%3A");
                let mounted =
                    format!("POST /v2/team/{image}/blobs/uploads/?mount={mount}&from={from} 201");
                assert!(
                    requests.contains(&mounted),
                    "{mounted} is not in {requests:#?}"
                );
            }
            let uploads = |layer: &str| {
                let digest = format!("digest={}", layer.replace(':', "%3A"));
                requests
                    .iter()
                    .filter(move |r| r.starts_with("PUT /v2/team/") && r.contains(&digest))
                    .count()
            };
            assert_eq!(uploads(&layer), 0);
            let own = self.hub.json(&format!(
                "team/base@{}",
                self.hub.manifests("team/base:latest")["arm64"]
            ));
            assert_eq!(uploads(own["layers"][1]["digest"].as_str().unwrap()), 1);
        }
    }

    fn is_recorded(&self) {
        let log = self.bench.git(&["log", "-1", "--notes=refit"]).exits(0);
        log.mentions("Notes (refit):")
            .mentions("base, shop, web built");
        for image in IMAGES {
            let object = format!("HEAD:{image}/Dockerfile");
            let notes = self
                .bench
                .git(&["notes", "--ref=refit-records", "show", &object])
                .exits(0)
                .stdout;
            let records: Vec<Value> = notes
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert!(records.iter().all(|r| r["v"] == 1 && r["image"] == image));
            let of_type =
                |wanted: &'static str| records.iter().filter(move |r| r["type"] == wanted);
            assert_eq!(of_type("build").count(), 2);
            let manifests = self.hub.manifests(&Self::latest(image));
            let built: BTreeSet<String> = of_type("build").map(|r| text(&r["manifest"])).collect();
            assert_eq!(built, manifests.into_values().collect());
            let publish: Vec<&Value> = of_type("publish").collect();
            assert_eq!(publish.len(), 1);
            assert_eq!(
                publish[0]["index"],
                self.hub.digest(&Self::latest(image)).to_string()
            );
            assert_eq!(publish[0]["after"], Value::Null);
            assert!(
                of_type("build").all(|r| r["run"] == publish[0]["run"] && r["engine"] == "docker")
            );
        }
        self.bench
            .refit(&["logs", "web"])
            .exits(0)
            .mentions("web says hello on x86_64")
            .mentions("web says hello on aarch64");
        self.bench
            .refit(&["logs", "web@linux/arm64"])
            .exits(0)
            .mentions("web says hello on aarch64");
        self.bench
            .refit(&["runs"])
            .exits(0)
            .mentions("6 targets succeeded");
    }

    fn is_patched_on_arm64(&self, released: &Manifests) -> Manifests {
        let old = self.indexes();
        self.hub.push_base("1", "2");
        self.bench
            .refit(&["status", "--exit-code"])
            .exits(1)
            .mentions("3 of 6 targets are stale");

        let before = self.everything();
        let plan = self
            .bench
            .refit(&["sweep", "--dry-run", "--format", "json"])
            .exits(0)
            .json();
        assert_eq!(self.everything(), before);
        let steps: Vec<_> = plan["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (text(&s["target"]), s["wave"].clone()))
            .collect();
        let expected = [("base", 1), ("web", 2), ("shop", 3)]
            .map(|(image, wave)| (format!("{image}@linux/arm64"), json!(wave)));
        assert_eq!(steps, expected);
        assert_eq!(plan["steps"][0]["reasons"][0]["kind"], "base-changed");
        assert_eq!(
            plan["steps"][1]["reasons"],
            json!([{ "kind": "parent-rebuilt", "parent": "base@linux/arm64" }])
        );
        assert_eq!(
            plan["kept"],
            json!(["base@linux/amd64", "shop@linux/amd64", "web@linux/amd64"])
        );
        assert_eq!(plan["states"], json!([]));

        let ran = self
            .bench
            .refit(&["sweep", "--format", "json"])
            .exits(0)
            .json();
        assert_eq!(ran["failed"], json!([]));
        let patched = self.manifests();
        for image in IMAGES {
            assert_eq!(
                patched[image]["amd64"], released[image]["amd64"],
                "kept bit for bit"
            );
            assert_ne!(patched[image]["arm64"], released[image]["arm64"]);
            let index = self.hub.json(&Self::latest(image));
            assert_eq!(
                index["annotations"]["dev.refit.replaces"],
                old[image].to_string()
            );
            let untouched = |index: &Value| {
                let manifests = index["manifests"].as_array().unwrap();
                manifests
                    .iter()
                    .find(|m| m["platform"]["architecture"] == "amd64")
                    .unwrap()
                    .clone()
            };
            let before = self.hub.json(&format!("team/{image}@{}", old[image]));
            assert_eq!(untouched(&index), untouched(&before), "the same entry");
        }
        let patch = |manifests: &Manifests, architecture: &str| {
            self.hub.file(
                "team/shop",
                &manifests["shop"][architecture],
                "etc/os-patch",
            )
        };
        assert_eq!(
            (patch(&patched, "amd64"), patch(&patched, "arm64")),
            (Some("1".to_owned()), Some("2".to_owned()))
        );
        self.bench.refit(&["status", "--exit-code"]).exits(0);
        self.bench
            .git(&["log", "-1", "--notes=refit"])
            .mentions("sweep ")
            .mentions("3 kept");
        patched
    }

    fn is_left_alone(&self) {
        let before = self.everything();
        let said = self.bench.refit(&["sweep"]).exits(0);
        said.mentions("nothing to do: 6 targets are built on what the bases are now");
        assert_eq!(self.everything(), before);
        let n_before = self.hub.requests().len();
        let document = self
            .bench
            .refit(&["sweep", "--format", "json"])
            .exits(0)
            .json();
        // One HEAD for the one base, one for each published image, and nothing else.
        let asked: BTreeSet<String> = self
            .hub
            .requests()
            .split_off(n_before)
            .into_iter()
            .collect();
        let expected = [
            "base/os/manifests/1",
            "team/base/manifests/latest",
            "team/shop/manifests/latest",
            "team/web/manifests/latest",
        ];
        assert_eq!(
            asked,
            expected.map(|path| format!("HEAD /v2/{path} 200")).into()
        );
        assert_eq!(document["requests"], json!({ "head": 4, "get": 0 }));
        assert_eq!(document["run"], Value::Null);
        assert_eq!(self.everything(), before);
    }

    fn a_rollback_is_left_alone(&self, released: &Manifests, patched: &Manifests) {
        let log = self.bench.git(&["log", "-1", "--notes=refit"]).stdout;
        assert!(!log.is_empty());
        let first = text(&self.hub.json("team/shop:latest")["annotations"]["dev.refit.replaces"]);
        self.hub.retag("team/shop", &first, "latest");
        let before = self.everything();
        let document = self
            .bench
            .refit(&["sweep", "--format", "json"])
            .exits(0)
            .json();
        let states = document["states"].as_array().unwrap();
        assert_eq!(states.len(), 1, "{document}");
        assert_eq!(
            (&states[0]["image"], &states[0]["state"]),
            (&json!("shop"), &json!("moved-elsewhere"))
        );
        assert_eq!(states[0]["digest"], first);
        let said = self.bench.refit(&["sweep"]).exits(0);
        said.mentions("shop: moved-elsewhere")
            .mentions("--take-over");
        assert_eq!(self.everything(), before);
        assert_eq!(self.manifests()["shop"], released["shop"]);
        assert_eq!(self.manifests()["web"], patched["web"]);
        self.bench
            .refit(&["status"])
            .exits(0)
            .mentions("moved-elsewhere");
        // Nor does a release of what was published under the tag before.
        self.bench
            .refit(&["build", "shop", "--push"])
            .mentions("moved-elsewhere");
        assert_eq!(self.everything(), before);
    }

    fn is_taken_over(&self, released: &Manifests, patched: &Manifests) {
        self.bench
            .refit(&["build", "shop", "--push", "--take-over"])
            .exits(0);
        let now = self.manifests();
        assert_eq!(&now, patched, "nothing had to be built again: {released:?}");
        let before = self.everything();
        self.bench
            .refit(&["sweep"])
            .exits(0)
            .mentions("nothing to do");
        assert_eq!(self.everything(), before);
    }
}
