//! The numbers of nodes and schedulers, as settings.

use crate::serve::ServeError;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// Nodes that one process can have.
const IDS_MAX: u32 = 100_000;

/// The numbers of the actors of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "IdsForm", into = "IdsForm")]
pub enum Ids {
    /// From the first to the last, both included.
    Range(u32, u32),
    /// One, drawn at the first start.
    Auto,
}

/// How [`Ids`] stand in a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum IdsForm {
    Number(u32),
    Text(String),
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Ids, String> {
        let no_ids = || format!("{text:?} is no number, no range as 1-1000, and not \"auto\"");
        let number = |text: &str| text.parse::<u32>().map_err(|_| no_ids());
        if text == "auto" {
            return Ok(Ids::Auto);
        }
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first > last {
            return Err(format!("{text:?} ends before it begins"));
        }
        if last - first >= IDS_MAX {
            return Err(format!("{text:?} are more than {IDS_MAX}: use more processes"));
        }
        Ok(Ids::Range(first, last))
    }
}

impl TryFrom<IdsForm> for Ids {
    type Error = String;
    fn try_from(form: IdsForm) -> Result<Ids, String> {
        match form {
            IdsForm::Number(number) => Ok(Ids::Range(number, number)),
            IdsForm::Text(text) => text.parse(),
        }
    }
}

impl From<Ids> for IdsForm {
    fn from(ids: Ids) -> IdsForm {
        match ids {
            Ids::Range(first, last) if first == last => IdsForm::Number(first),
            Ids::Range(first, last) => IdsForm::Text(format!("{first}-{last}")),
            Ids::Auto => IdsForm::Text("auto".to_owned()),
        }
    }
}

/// The numbers that `ids` are. One that is drawn is kept in the folder `data`, for all lives.
///
/// # Errors
/// If it cannot be drawn or kept, or what is kept there is no number.
pub fn life_long_ids(ids: Ids, data: &Path) -> Result<Vec<u32>, ServeError> {
    let drawn = match ids {
        Ids::Range(first, last) => return Ok((first..=last).collect()),
        Ids::Auto => data.join("id"),
    };
    let folder = |source| ServeError::Folder { path: data.to_owned(), source };
    if let Ok(text) = std::fs::read_to_string(&drawn) {
        let no_number = || folder(std::io::Error::other(format!("{drawn:?} holds no number")));
        return Ok(vec![text.trim().parse().map_err(|_| no_number())?]);
    }
    std::fs::create_dir_all(data).map_err(folder)?;
    let mut bytes = [0; 4];
    let no_randomness = |error: getrandom::Error| folder(std::io::Error::other(error.to_string()));
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    let id = u32::from_le_bytes(bytes).max(1);
    // In place at once or not at all.
    let unfinished = data.join("id.new");
    let keep = || {
        std::fs::write(&unfinished, format!("{id}\n"))?;
        std::fs::File::open(&unfinished)?.sync_all()?;
        std::fs::rename(&unfinished, &drawn)?;
        std::fs::File::open(data)?.sync_all()
    };
    keep().map_err(folder)?;
    Ok(vec![id])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_drawn_is_the_same_in_all_lives_on_a_disk_and_another_on_another() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let drawn = |data: &Path| life_long_ids(Ids::Auto, data).unwrap();
        let first = drawn(one.path());
        assert_eq!(drawn(one.path()), first);
        assert_ne!(drawn(other.path()), first);
        std::fs::write(one.path().join("id"), "none\n").unwrap();
        assert!(life_long_ids(Ids::Auto, one.path()).is_err());
        assert_eq!(life_long_ids(Ids::Range(3, 5), one.path()).unwrap(), [3, 4, 5]);
    }
}
