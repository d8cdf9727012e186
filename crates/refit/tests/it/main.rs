//! The built command, run as a user would, in repositories of its own.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod fixtures;
mod sandbox;

mod adopt;
mod anywhere;
mod asking;
mod browser;
mod ci;
mod doctor;
mod emit;
mod errors;
mod graph;
mod help;
mod hooks;
mod imports;
mod init;
mod notes;
mod odd_files;
mod picture;
mod policy;
mod readme;
mod record;
mod scan;
mod shop;
mod sources;
mod status;

/// Compares with a file under `snapshots/cli`.
#[macro_export]
macro_rules! assert_snapshot {
    ($name:expr, $value:expr) => {{
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../../snapshots/cli");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!($name, $value));
    }};
}

/// Compares with what is not the same every time left out.
#[macro_export]
macro_rules! assert_masked {
    ($name:expr, $value:expr) => {
        insta::with_settings!({ filters => vec![
            (r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "RUN"),
            (r"\b[0-9a-f]{64}\b", "DIGEST"),
            (r"\b[0-9a-f]{40}\b", "COMMIT"),
            (r"\b[0-9a-f]{12}\b", "SHORT"),
            (r#""(started|finished)": "[^"]*""#, "\"$1\": \"TIME\""),
        ] }, { $crate::assert_snapshot!($name, $value); });
    };
}
