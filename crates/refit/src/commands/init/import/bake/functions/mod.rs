//! The library of functions that bake files use.

mod collections;
mod format;
mod numbers;
mod strings;

use serde_json::Value;

/// Calls a function of the library.
pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    if matches!(name, "timestamp" | "uuidv4" | "bcrypt") {
        return Err("its value is another one every time".to_owned());
    }
    strings::call(name, args)
        .or_else(|| collections::call(name, args))
        .or_else(|| numbers::call(name, args))
        .unwrap_or_else(|| Err("no function of that name is known".to_owned()))
}

/// The argument at a position.
fn arg(args: &[Value], at: usize) -> Result<&Value, String> {
    args.get(at)
        .ok_or_else(|| format!("there is no argument {}", at + 1))
}
