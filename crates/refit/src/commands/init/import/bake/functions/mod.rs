//! The library of functions that bake files use.

mod collections;
mod encoding;
mod format;
mod numbers;
mod regexes;
mod sets;
mod strings;

use serde_json::Value;

/// Calls a function of the library.
pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    match name {
        "timestamp" | "uuidv4" | "bcrypt" => {
            return Err("its value is another one every time".to_owned());
        }
        "homedir" => return Err("it is another one on every machine".to_owned()),
        _ if NOT_EVALUATED.contains(&name) => {
            return Err("it is evaluated by bake only".to_owned());
        }
        _ => {}
    }
    strings::call(name, args)
        .or_else(|| collections::call(name, args))
        .or_else(|| sets::call(name, args))
        .or_else(|| numbers::call(name, args))
        .or_else(|| encoding::call(name, args))
        .or_else(|| regexes::call(name, args))
        .unwrap_or_else(|| Err("no function of that name is known".to_owned()))
}

/// What buildx knows beside these; hardly an image depends on it.
const NOT_EVALUATED: [&str; 14] = [
    "byteslen",
    "bytesslice",
    "cidrhost",
    "cidrnetmask",
    "cidrsubnet",
    "cidrsubnets",
    "convert",
    "csvdecode",
    "formatdate",
    "formattimestamp",
    "rsadecrypt",
    "semvercmp",
    "timeadd",
    "unixtimestampparse",
];

/// The argument at a position.
fn arg(args: &[Value], at: usize) -> Result<&Value, String> {
    args.get(at)
        .ok_or_else(|| format!("there is no argument {}", at + 1))
}
