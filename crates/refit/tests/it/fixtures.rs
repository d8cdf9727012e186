//! Repositories that tests start from.

use std::fmt::Write as _;

use crate::sandbox::Sandbox;

/// A family of notebook images, six deep, whose bases come through nested ARGs, beside a folder of recipes.
pub(crate) fn notebooks() -> String {
    let mut files = String::from(
        "//- stacks/foundation/Dockerfile\n\
         # syntax-free on purpose\n\
         ARG ROOT_IMAGE=default_root\n\
         FROM ubuntu:24.04 AS default_root\n\
         FROM ghcr.io/tools/micromamba:2.1 AS tools\n\
         FROM $ROOT_IMAGE\n\
         COPY --from=tools /bin/micromamba /usr/local/bin/\n\
         RUN setup\n",
    );
    for (name, parent) in NOTEBOOKS {
        write!(
            files,
            "//- stacks/{name}/Dockerfile\n\
             ARG REGISTRY=quay.io\n\
             ARG OWNER=notebooks\n\
             ARG BASE_IMAGE=$REGISTRY/$OWNER/{parent}\n\
             FROM $BASE_IMAGE\n\
             RUN install {name}\n"
        )
        .unwrap();
    }
    for recipe in ["odbc", "pip", "spell"] {
        write!(
            files,
            "//- docs/recipes/{recipe}.dockerfile\n\
             ARG BASE_IMAGE=quay.io/notebooks/base-notebook\n\
             FROM $BASE_IMAGE\n\
             RUN recipe {recipe}\n"
        )
        .unwrap();
    }
    files.push_str(
        "//- binder/Dockerfile\n\
         FROM quay.io/notebooks/base-notebook:2026-07-28@sha256:\
         a8b2611c4c380dde6159f9963ee4f294373a0b214958987b7b469d312287c4ef\n",
    );
    files
}

/// Each with what it is built on.
const NOTEBOOKS: [(&str, &str); 9] = [
    ("base-notebook", "foundation"),
    ("minimal-notebook", "base-notebook"),
    ("scipy-notebook", "minimal-notebook"),
    ("r-notebook", "minimal-notebook"),
    ("julia-notebook", "minimal-notebook"),
    ("datascience-notebook", "scipy-notebook"),
    ("tensorflow-notebook", "scipy-notebook"),
    ("pyspark-notebook", "scipy-notebook"),
    ("all-spark-notebook", "pyspark-notebook"),
];

/// Three services on two bases; `worker` is built on `web`.
pub(crate) const SERVICES: &str = "\
//- .config/refit.toml
version = 1
push-to = [\"registry.example.com/team\"]

[defaults]
platforms = [\"linux/amd64\", \"linux/arm64\"]

[[images]]
files = \"services/*/Dockerfile\"
name = \"{dir}\"
//- services/web/Dockerfile
FROM --platform=$BUILDPLATFORM golang:1.25 AS build
COPY . /src
RUN make
FROM debian:12-slim
COPY --from=build /src/web /usr/bin/
//- services/web/main.go
package main
//- services/worker/Dockerfile
FROM registry.example.com/team/web
CMD [\"worker\"]
//- services/assets/Dockerfile
FROM scratch
COPY logo.svg /
//- services/assets/logo.svg
<svg/>
";

/// What is markup in HTML, SVG, Markdown, Mermaid or Graphviz's language.
pub(crate) const HOSTILE: &str =
    "<img src=x onerror=alert(1)>\"'`]]>--><script>alert(1)<\\script>\\N&lt;";

/// A repository with a file and a stage of that name.
pub(crate) fn hostile() -> Sandbox {
    Sandbox::with(&format!(
        "//- .config/refit.toml\n[[image]]\nname = \"web\"\ndockerfile = '''Dockerfile.{HOSTILE}'''\n\
         target = '''{HOSTILE}'''\n//- Dockerfile.{HOSTILE}\nFROM debian:12\n"
    ))
}
