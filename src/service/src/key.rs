//! The keys of a cluster: who knows one is trusted.
//!
//! A key file holds one or two keys, each 64 hexadecimal digits on a line of its own; empty lines
//! and lines that begin with `#` are left out. The first key seals what is sent; what arrives may
//! be sealed with either. So a key is changed without a stop: add the new one as the second line
//! everywhere, then put it first everywhere, then take the old one away.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Keys that a cluster can have at once.
pub const KEYS_MAX: usize = 2;

/// Bytes of the tag at the end of what is sealed.
pub const TAG_BYTES: usize = 16;

/// A secret that the processes of a cluster share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

/// Stands in a packet for the key that it is sealed with. It says nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyNumber(pub u8);

/// The keys that a process knows.
///
/// # Invariants
/// There are one or two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<(KeyNumber, Key)>);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("the key file {path:?} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no key.
    #[error(
        "line {line} of the key file {path:?} is no key: a key is 64 hexadecimal digits; \
         `counterfoil key` makes one"
    )]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// There are none, or more than [`KEYS_MAX`].
    #[error("the key file {path:?} holds {count} keys: it must hold one, or two while they change")]
    Count {
        /// Which file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// The system has no randomness.
    #[error("the system gives no randomness for a key: {0}")]
    Randomness(getrandom::Error),
}

impl KeyNumber {
    /// Stands in a packet that is not sealed.
    pub const NONE: KeyNumber = KeyNumber(0);
}

impl Key {
    /// A new key, from the randomness of the system.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn generate() -> Result<Key, KeyError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(KeyError::Randomness)?;
        Ok(Key(bytes))
    }

    /// The key that `text` is: 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Key> {
        let hash = blake3::Hash::from_hex(text).ok()?;
        Some(Key(*hash.as_bytes()))
    }

    /// The 64 hexadecimal digits. A secret.
    pub fn to_hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_string()
    }

    /// What it is called in packets, from 1 to 255.
    pub fn number(&self) -> KeyNumber {
        KeyNumber(blake3::derive_key("counterfoil: the number of a cluster key", &self.0)[0].max(1))
    }

    /// The tag of `bytes`: nobody without the key can make one.
    pub fn tag(&self, bytes: &[u8]) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&blake3::keyed_hash(&self.0, bytes).as_bytes()[..TAG_BYTES]);
        tag
    }

    /// Whether `tag` is the tag of `bytes`. How long it takes says nothing of where they differ.
    fn accepts(&self, bytes: &[u8], tag: &[u8]) -> bool {
        let differences = self.tag(bytes).iter().zip(tag).fold(0, |all, (a, b)| all | (a ^ b));
        tag.len() == TAG_BYTES && std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl From<Key> for Keys {
    fn from(key: Key) -> Keys {
        Keys(vec![(key.number(), key)])
    }
}

impl Keys {
    /// The keys in the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, or does not hold one or two keys and nothing else.
    pub fn read(path: &Path) -> Result<Keys, KeyError> {
        let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut keys = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let no_key = || KeyError::NoKey { path: path.to_owned(), line };
            let key = Key::from_hex(text).ok_or_else(no_key)?;
            keys.push((key.number(), key));
        }
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(KeyError::Count { path: path.to_owned(), count: keys.len() });
        }
        Ok(Keys(keys))
    }

    /// The key that seals what is sent.
    pub fn sealing(&self) -> (KeyNumber, &Key) {
        let (number, key) = &self.0[0];
        (*number, key)
    }

    /// Whether one of the keys with this number accepts `tag` as the tag of `bytes`.
    pub fn accept(&self, number: KeyNumber, bytes: &[u8], tag: &[u8]) -> bool {
        let named = self.0.iter().filter(|(known, _)| *known == number);
        named.into_iter().any(|(_, key)| key.accepts(bytes, tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key([byte; 32])
    }

    fn written(text: &str) -> Result<Keys, KeyError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, text).unwrap();
        Keys::read(&path)
    }

    #[test]
    fn a_tag_is_accepted_for_its_bytes_and_its_key_only() {
        let keys = Keys::from(key(1));
        let (number, sealing) = keys.sealing();
        let tag = sealing.tag(b"bytes");
        assert!(keys.accept(number, b"bytes", &tag));
        assert!(!keys.accept(number, b"other", &tag));
        assert!(!keys.accept(number, b"bytes", &tag[1..]));
        assert!(!keys.accept(number, b"bytes", &key(2).tag(b"bytes")));
        assert!(!keys.accept(KeyNumber::NONE, b"bytes", &tag));
    }

    #[test]
    fn while_keys_change_both_are_accepted_and_the_first_seals() {
        let (old, new) = (key(1), key(2));
        let both = written(&format!("# new\n{}\n\n{}\n", new.to_hex(), old.to_hex())).unwrap();
        assert_eq!(both.sealing().1, &new);
        for key in [&old, &new] {
            assert!(both.accept(key.number(), b"bytes", &key.tag(b"bytes")));
        }
    }

    #[test]
    fn a_file_without_keys_with_too_many_or_with_something_else_is_refused() {
        let hex = key(1).to_hex();
        assert_eq!(written(&hex).unwrap(), Keys::from(key(1)));
        assert!(matches!(written("# none\n"), Err(KeyError::Count { count: 0, .. })));
        let three = format!("{hex}\n{hex}\n{hex}\n");
        assert!(matches!(written(&three), Err(KeyError::Count { count: 3, .. })));
        for bad in [&hex[1..], "0x", "key"] {
            let text = format!("{hex}\n{bad}\n");
            assert!(matches!(written(&text), Err(KeyError::NoKey { line: 2, .. })), "{bad}");
        }
        assert!(matches!(Keys::read(Path::new("/nowhere")), Err(KeyError::Unreadable { .. })));
    }

    #[test]
    fn a_new_key_is_a_key_and_no_other() {
        let (one, two) = (Key::generate().unwrap(), Key::generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(Key::from_hex(&one.to_hex()), Some(one));
    }
}
