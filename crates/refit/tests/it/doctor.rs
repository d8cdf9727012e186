//! `refit doctor`: what is missing has a command that mends it.

use serde_json::Value;

use crate::{
    assert_snapshot,
    fixtures::{SERVICES, notebooks},
    sandbox::Sandbox,
};

/// What the doctor says in a folder, git's version left out.
macro_rules! assert_doctor {
    ($name:expr, $sandbox:expr, $folder:expr) => {
        let filters = vec![(r"ok( +)git( +)[0-9][^\n]*", "ok${1}git${2}VERSION")];
        insta::with_settings!({ filters => filters }, {
            assert_snapshot!($name, $sandbox.refit(&["-C", $folder, "doctor"]).all());
        });
    };
}

#[test]
fn what_is_missing_has_a_command_wherever_it_is_missing() {
    assert_doctor!("doctor-new", Sandbox::with(&notebooks()), ".");
    assert_doctor!("doctor-empty", Sandbox::new(), ".");
    assert_doctor!("doctor-nowhere", Sandbox::bare(), ".");
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM scratch\n");
    sandbox.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    assert_doctor!("doctor-bare", sandbox, "../bare.git");
    // A registry that is pushed to.
    assert_doctor!("doctor-services", Sandbox::with(SERVICES), ".");
}

/// A check's state, and the commands that mend it.
fn check(sandbox: &Sandbox, name: &str, env: &[(&str, &str)]) -> (String, Vec<String>) {
    let said = sandbox.refit_with(&["doctor", "--format", "json"], "", env);
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    let mut checks = json["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["check"] == name).unwrap();
    let text = |key: &str| check[key].as_str().unwrap_or_default();
    let commands = text("mend").split('`').skip(1).step_by(2);
    let commands = commands.map(str::to_owned).collect();
    (text("state").to_owned(), commands)
}

#[test]
fn whoever_does_what_the_doctor_says_is_well() {
    let sandbox = Sandbox::with("//- web/Dockerfile\nFROM scratch\n");
    sandbox.git(&["init", "-q", "--bare", "../origin.git"]);
    sandbox.git(&["remote", "add", "origin", "../origin.git"]);
    sandbox.git(&["push", "-q", "-u", "origin", "main"]);
    for name in ["configuration", "hooks", "records", "remote"] {
        let (state, commands) = check(&sandbox, name, &[]);
        // The configuration's command mends the remote's refspec, too.
        assert!(state == "missing" || name == "remote", "{name}");
        for command in commands {
            let words: Vec<&str> = command.split(' ').collect();
            assert_eq!(words[0], "refit", "{name}: {command}");
            sandbox.refit(&words[1..]).ok();
        }
        assert_eq!(
            check(&sandbox, name, &[]),
            ("ok".to_owned(), vec![]),
            "{name}"
        );
    }
}

#[test]
fn an_address_that_is_none_is_wrong() {
    let sandbox = Sandbox::new();
    let address = [("DOCKER_HOST", "ssh://me:secret@build-machine")];
    let (state, commands) = check(&sandbox, "docker", &address);
    assert_eq!(state, "wrong");
    assert_eq!(commands, ["export DOCKER_HOST=unix:///var/run/docker.sock"]);
    assert_eq!(sandbox.refit_with(&["doctor"], "", &address).code, 1);
}
