//! The patch of one platform, the sweep after it, and a rollback by hand.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{IMAGES, Manifests, Story};
use crate::hub::text;

impl Story {
    pub(super) fn is_patched_on_arm64(&self, released: &Manifests) -> Manifests {
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

    pub(super) fn is_left_alone(&self) {
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

    pub(super) fn a_rollback_is_left_alone(&self, released: &Manifests, patched: &Manifests) {
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

    pub(super) fn is_taken_over(&self, released: &Manifests, patched: &Manifests) {
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
