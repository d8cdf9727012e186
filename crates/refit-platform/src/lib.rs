//! The platform matrix: which platform satisfies which, images × platforms expanded into targets, targets on nodes.
//!
//! Pure: nothing here asks the machine what it is; the build platform is always an argument.
//!
//! ```
//! use refit_oci::Platform;
//! use refit_platform::{Placement, expand, runs_on, satisfies};
//!
//! let arm: Platform = "linux/arm/v7".parse()?;
//! assert!(satisfies(&"linux/arm/v6".parse()?, &arm));
//!
//! let targets = expand([("web", [Platform::linux_amd64(), arm].as_slice())]);
//! assert_eq!(targets[1].to_string(), "web@linux/arm/v7");
//! assert_eq!(runs_on(&targets[1].platform, &Platform::linux_amd64(), &[]), Placement::No);
//! # Ok::<(), refit_oci::PlatformError>(())
//! ```

mod matching;
mod placement;
mod target;
mod windows;

pub use matching::{best_match, satisfies};
pub use placement::{Placement, runs_on};
pub use target::{Target, TargetError, expand};
