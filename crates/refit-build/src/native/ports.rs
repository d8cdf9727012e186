//! EXPOSE: `[[ip:]host:]port[-port][/protocol]`, of which only container ports and protocol count.

/// The highest port.
const MAX_PORT: u32 = 65_535;

/// A word that is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no port (want a number up to 65535 or a range, and `/tcp`, `/udp` or `/sctp`)")]
pub(crate) struct PortError(String);

/// The ports that a word of EXPOSE stands for, as `80/tcp`.
pub(crate) fn ports(word: &str) -> Result<Vec<String>, PortError> {
    parse(word).ok_or_else(|| PortError(word.to_owned()))
}

fn parse(word: &str) -> Option<Vec<String>> {
    let (before, container) = match word.rsplit_once(':') {
        Some((before, container)) => (Some(before), container),
        None => (None, word),
    };
    let (range, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => return None,
    };
    let (start, end) = parse_range(range)?;
    if let Some(before) = before {
        check_host(before, (start, end))?;
    }
    Some(
        (start..=end)
            .map(|port| format!("{port}/{protocol}"))
            .collect(),
    )
}

/// What publishing would use is checked and has no effect.
fn check_host(before: &str, (start, end): (u32, u32)) -> Option<()> {
    let (ip, host) = match before.rsplit_once(':') {
        Some((ip, host)) => (ip, host),
        None => ("", before),
    };
    let ip = ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .unwrap_or(ip);
    if !ip.is_empty() {
        ip.parse::<std::net::IpAddr>().ok()?;
    }
    if !host.is_empty() {
        let (host_start, host_end) = parse_range(host)?;
        if end - start != host_end - host_start && end != start {
            return None;
        }
    }
    Some(())
}

fn parse_range(text: &str) -> Option<(u32, u32)> {
    let port = |text: &str| {
        let port = text.strip_prefix('+').unwrap_or(text);
        let port = port.parse::<u32>().ok()?;
        (port <= MAX_PORT).then_some(port)
    };
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let (start, end) = (port(start)?, port(end)?);
    (start <= end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_expose() {
        for (word, expect) in [
            ("80", Some("80/tcp")),
            ("80/UDP", Some("80/udp")),
            ("80/", Some("80/tcp")),
            ("8000-8002", Some("8000/tcp 8001/tcp 8002/tcp")),
            ("7-7/sctp", Some("7/sctp")),
            ("8080:80", Some("80/tcp")),
            ("127.0.0.1:8080:80/tcp", Some("80/tcp")),
            ("127.0.0.1::80", Some("80/tcp")),
            ("[::1]:8080:80", Some("80/tcp")),
            ("8000-8001:80-81", Some("80/tcp 81/tcp")),
            ("8000-8009:80", Some("80/tcp")),
            ("8000-8001:80-82", None),
            ("x:80", None),
            ("local:1:80", None),
            ("", None),
            ("/tcp", None),
            ("80/icmp", None),
            ("65536", None),
            ("-1", None),
            ("9-8", None),
            ("http", None),
        ] {
            let got = ports(word).ok().map(|ports| ports.join(" "));
            assert_eq!(got.as_deref(), expect, "{word}");
        }
    }
}
