//! The file of a trace, as far as it is the same for every protocol.

use super::{BYTES_MAX, TraceError, VERSION};
use crate::scenario::Design;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::Read;
use std::path::Path;

/// What is read of a file. The states may be many and large, and are only looked at one by one.
#[derive(Deserialize)]
struct File<'a> {
    #[serde(rename = "#check")]
    check: Option<Value>,
    #[serde(borrow)]
    states: Option<&'a RawValue>,
}

/// The protocol that a trace is of.
pub fn protocol_of(path: &Path) -> Result<Design, TraceError> {
    let bytes = read(path)?;
    opened(path, &bytes).map(|opened| opened.protocol)
}

/// A file that was written by the checker, as far as it is the same for every protocol.
pub(super) struct Opened<'a> {
    pub(super) section: Value,
    pub(super) protocol: Design,
    pub(super) states: Option<&'a RawValue>,
}

pub(super) fn opened<'a>(path: &Path, bytes: &'a [u8]) -> Result<Opened<'a>, TraceError> {
    let to = || path.to_owned();
    let file: File = serde_json::from_slice(bytes).map_err(|source| {
        if source.is_eof() {
            TraceError::Truncated { path: to(), source }
        } else if source.is_data() {
            TraceError::NoTrace { path: to() }
        } else {
            TraceError::Damaged { path: to(), source }
        }
    })?;
    let section = file.check.unwrap_or_default();
    let version = section.get("version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| TraceError::NoTrace { path: to() })?;
    if version == 0 {
        return Err(TraceError::NoTrace { path: to() });
    }
    if version > VERSION {
        return Err(TraceError::Newer { path: to(), version });
    }
    // One that does not say is of the protocol that was the only one once.
    let named = section.get("scenario").and_then(|scenario| scenario.get("protocol"));
    let protocol = match named.and_then(Value::as_str) {
        None => Design::default(),
        Some(name) => Design::named(name)
            .ok_or_else(|| TraceError::NoSuchProtocol { path: to(), protocol: name.to_owned() })?,
    };
    Ok(Opened { section, protocol, states: file.states })
}

/// The file, if it is no larger than a trace can be; whatever it says of its length.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TraceError> {
    let failed = |source| TraceError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(TraceError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}
