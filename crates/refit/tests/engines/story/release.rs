//! The release: on both platforms, nothing sent twice, recorded.

use std::collections::BTreeSet;

use refit_oci::Digest;
use serde_json::{Value, json};

use super::{IMAGES, Manifests, Story};
use crate::hub::text;

impl Story {
    pub(super) fn is_released(&self) -> Manifests {
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

    pub(super) fn ran_on_both_platforms(&self) {
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

    pub(super) fn runs(&self) {
        let name = format!("{}/{}", self.hub.host(), Self::latest("shop"));
        let said = self.bench.run_image(&name, "linux/amd64");
        assert_eq!(said, "web says hello on x86_64\n");
        let said = self.bench.run_image(&name, "linux/arm64");
        assert_eq!(said, "web says hello on aarch64\n");
    }

    pub(super) fn sent_no_layer_of_the_base(&self) {
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

    pub(super) fn is_recorded(&self) {
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
}
