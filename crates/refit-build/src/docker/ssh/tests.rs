use super::*;

fn arguments(text: &str) -> Result<Vec<String>, &'static str> {
    let host = SshHost::parse(text)?;
    assert_eq!(
        host.to_string(),
        format!("ssh://{}", text.trim_end_matches('/'))
    );
    let command = host.command(&[]);
    let args = command.as_std().get_args().skip(OPTIONS.len());
    Ok(args.map(|a| a.to_string_lossy().into_owned()).collect())
}

#[test]
fn a_host_is_an_operand_and_nothing_becomes_an_option() {
    for (text, expect) in [
        ("build-machine", Ok("-- build-machine")),
        (
            "me@build.example.com:2222/",
            Ok("-l me -p 2222 -- build.example.com"),
        ),
        ("me@[fe80::1%eth0]:22", Ok("-l me -p 22 -- fe80::1%eth0")),
        ("host/run/user/1000/docker.sock", Ok("-- host")),
        ("-oProxyCommand=x", Err("it names no host")),
        ("-oProxyCommand=x@host", Err("its user is no name")),
        (
            "me:secret@host",
            Err("a password can't be given, `ssh` takes keys"),
        ),
        ("host:ssh", Err("its port is no number from 0 to 65535")),
        ("host/$(reboot)", Err("its path is none of a socket")),
        ("a b", Err("it names no host")),
        ("[::1", Err("its `[` is never closed")),
        ("", Err("it names no host")),
    ] {
        let args = arguments(text).map(|args| args.join(" "));
        assert_eq!(args, expect.map(str::to_owned), "{text}");
    }
}

#[test]
fn the_port_over_there_is_read_from_what_ssh_says() {
    let said = "Warning: added\r\nAllocated port 39017 for remote forward to 127.0.0.1:5000\r\n";
    assert_eq!(allocated(said), Some(39017));
    assert_eq!(
        allocated("Allocated port 39"),
        None,
        "the rest is under way"
    );
    assert_eq!(
        words(b"ssh: connect to host x port 22: Connection refused\r\n"),
        "`ssh` says: connect to host x port 22: Connection refused"
    );
}
