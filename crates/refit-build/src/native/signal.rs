//! STOPSIGNAL: which words are signals.

/// Linux's signals without their `SIG`.
const NAMES: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Whether moby's `signal.ParseSignal` takes the text: a number but 0, or a name in any case with or without `SIG`.
pub(crate) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.contains(&name) || is_real_time(name)
}

fn is_real_time(name: &str) -> bool {
    let offset = |rest: &str, sign: char, most: u32| match rest.strip_prefix(sign) {
        Some(digits) if !digits.starts_with('0') && !digits.starts_with('+') => {
            digits.parse::<u32>().is_ok_and(|n| n <= most)
        }
        Some(_) => false,
        None => rest.is_empty(),
    };
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => offset(rest, '+', 15),
        (_, Some(rest)) => offset(rest, '-', 14),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_numbers_or_names() {
        for good in [
            "SIGTERM",
            "term",
            "sigquit",
            "9",
            "RTMIN",
            "SIGRTMIN+3",
            "RTMAX-14",
            "37",
        ] {
            assert!(is_signal(good), "{good}");
        }
        for bad in [
            "",
            "0",
            "SIG",
            "SIGSIGTERM",
            "SIGFOO",
            "RTMIN+16",
            "RTMIN+0",
            "RTMAX+1",
            "9 ",
        ] {
            assert!(!is_signal(bad), "{bad}");
        }
    }
}
