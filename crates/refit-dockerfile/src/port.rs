//! `EXPOSE`: the ports that Docker's library of them takes.

use std::{net::IpAddr, ops::RangeInclusive};

/// A word of EXPOSE that names no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PortError(String);

/// The ports that one word of EXPOSE stands for, expanded, as a config has them: `80/tcp`.
///
/// A word is `[[ip:]host:]port[/protocol]`, each port a number or a range. As in `ParsePortSpec` of Docker's
/// go-connections: what is before a `:` binds a port of the host, means nothing in an image, and must be well formed all
/// the same; what follows a second `/` is passed over.
pub fn exposed_ports(word: &str) -> Result<Vec<String>, PortError> {
    let (ports, protocol) = parse(word).map_err(PortError)?;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

/// What is wrong with such a word.
pub(crate) fn problem(word: &str) -> Option<String> {
    parse(word).err()
}

fn parse(word: &str) -> Result<(RangeInclusive<u16>, String), String> {
    let (before, last) = match word.rsplit_once(':') {
        Some((before, last)) => (Some(before), last),
        None => (None, word),
    };
    let (ip, host) = match before.map(|before| before.rsplit_once(':')) {
        Some(Some((ip, host))) => (ip, host),
        Some(None) => ("", before.unwrap_or_default()),
        None => ("", ""),
    };
    if !is_ip(ip) {
        return Err(format!("`{ip}` is no IP address"));
    }
    let mut parts = last.split('/');
    let port = parts.next().unwrap_or_default();
    let protocol = parts.next().filter(|protocol| !protocol.is_empty());
    if port.is_empty() {
        return Err(format!("`{word}` names no port"));
    }
    let inside = range(port)
        .ok_or_else(|| format!("`{port}` is no port, nor a range of them (`80`, `8000-8010`)"))?;
    let hosts = match host {
        "" => inside,
        host => range(host).ok_or_else(|| format!("`{host}` is no port of the host"))?,
    };
    let is_one = inside.0 == inside.1;
    if !is_one && inside.1 - inside.0 != hosts.1 - hosts.0 {
        return Err(format!("`{host}` has not as many ports as `{port}`"));
    }
    let written = protocol.unwrap_or("tcp");
    let protocol = written.to_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!(
            "`{written}` is no protocol of a port (`tcp`, `udp`, `sctp`)"
        ));
    }
    Ok((inside.0..=inside.1, protocol))
}

/// `80` or `80-90`; a third part is passed over.
fn range(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split('-');
    let start = number(parts.next()?)?;
    let end = parts.next().map_or(Some(start), number)?;
    (start <= end).then_some((start, end))
}

fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// None, one in brackets, or one without a `:`.
fn is_ip(text: &str) -> bool {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner.or_else(|| (!text.contains(':')).then_some(text)) {
        Some(ip) => ip.is_empty() || ip.parse::<IpAddr>().is_ok(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        for (word, expect) in [
            ("80", None),
            ("080", None),
            ("0", None),
            ("65535/TCP", None),
            ("80/", None),
            ("80/udp/x", None),
            ("8000-8010/sctp", None),
            ("80-90-x", None),
            ("8080:80", None),
            ("1.2.3.4:8080:80/tcp", None),
            ("1.2.3.4::80", None),
            ("[::1]:8080:80", None),
            (":80", None),
            ("8000-8010:80", None),
            ("8000-8001:80-81", None),
            ("", Some("names no port")),
            ("/tcp", Some("names no port")),
            ("80:", Some("names no port")),
            ("http", Some("`http` is no port")),
            ("65536", Some("`65536` is no port")),
            ("+80", Some("`+80` is no port")),
            ("-80", Some("`-80` is no port")),
            ("90-80", Some("`90-80` is no port")),
            ("80/icmp", Some("`icmp` is no protocol")),
            ("x:80", Some("`x` is no port of the host")),
            ("8000:80-81", Some("not as many ports")),
            ("a.b:8080:80", Some("`a.b` is no IP address")),
            ("::1:8080:80", Some("`::1` is no IP address")),
        ] {
            let problem = problem(word);
            match expect {
                None => assert_eq!(problem, None, "{word}"),
                Some(expect) => {
                    let problem = problem.expect(word);
                    assert!(problem.contains(expect), "{word}: {problem}");
                }
            }
        }
    }

    #[test]
    fn a_range_is_each_of_its_ports() {
        for (word, expect) in [
            ("80", "80/tcp"),
            ("080/", "80/tcp"),
            ("80/UDP", "80/udp"),
            ("8000-8002", "8000/tcp 8001/tcp 8002/tcp"),
            ("7-7/sctp", "7/sctp"),
            ("127.0.0.1::80", "80/tcp"),
            ("[::1]:8080:80", "80/tcp"),
            ("8000-8001:80-81", "80/tcp 81/tcp"),
            ("8000-8009:80", "80/tcp"),
        ] {
            assert_eq!(exposed_ports(word).unwrap().join(" "), expect, "{word}");
        }
        let error = exposed_ports("80/icmp").unwrap_err();
        assert!(error.to_string().starts_with("`icmp` is no protocol"));
    }
}
