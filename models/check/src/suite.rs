//! Which scenarios there are, and where they and the saved traces are kept.

use clap::ValueEnum;
use counterfoil_world::scenario::Design;
use counterfoil_world::{Scenario, ScenarioError};
use std::path::{Path, PathBuf};

/// Why scenarios cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The folder of the scenarios cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such scenario.
    #[error(
        "there is no scenario {name}: give a file, or one of the names that `check list` prints"
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// A scenario cannot be used.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// The folder of the scenarios that come with the checker.
pub fn scenarios_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

/// The folder that all is in.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the saved traces of the update/claim protocol.
pub fn traces_folder() -> PathBuf {
    root().join(traces_of(Design::Counterfoil))
}

/// The folder of the saved traces of a design, from the [`root`].
pub fn traces_of(design: Design) -> &'static str {
    match design {
        Design::Counterfoil => "traces",
        Design::Shared2016 | Design::Filter | Design::Caching | Design::Placement => "traces/seed",
    }
}

/// The files of `folder` whose names end with `suffix`, in order.
pub fn files(folder: &Path, suffix: &str) -> Result<Vec<PathBuf>, SuiteError> {
    let failed = |source| SuiteError::Folder { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.to_string_lossy().ends_with(suffix) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A set of scenarios that are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Every rule, every property; ends within minutes.
    Quick,
    /// The small scope; ends within an hour.
    Full,
    /// As far as a night goes.
    Nightly,
    /// The designs of 2016, and what is wrong with them; ends within minutes.
    Seed,
}

impl Suite {
    /// All of them.
    pub const ALL: [Suite; 4] = [Suite::Quick, Suite::Full, Suite::Nightly, Suite::Seed];

    fn folder(self) -> PathBuf {
        match self {
            Suite::Quick => scenarios_folder(),
            Suite::Full => scenarios_folder().join("full"),
            Suite::Nightly => scenarios_folder().join("nightly"),
            Suite::Seed => root().join("models/seed/scenarios"),
        }
    }

    /// The folder of the traces that its scenarios found, from the [`root`].
    pub fn traces(self) -> &'static str {
        match self {
            Suite::Quick | Suite::Full | Suite::Nightly => traces_of(Design::Counterfoil),
            Suite::Seed => traces_of(Design::Shared2016),
        }
    }

    /// Its scenarios: those that hold first, the small before the large, so that what is wrong shows
    /// soon.
    pub fn scenarios(self) -> Result<Vec<Scenario>, SuiteError> {
        let files = files(&self.folder(), ".toml")?;
        let mut scenarios: Vec<Scenario> =
            files.iter().map(|path| Scenario::load(path)).collect::<Result<_, _>>()?;
        scenarios.sort_by_key(|scenario| {
            let broken = !scenario.without.is_empty();
            let size = if broken { None } else { scenario.distinct };
            (broken, size, scenario.name.clone())
        });
        Ok(scenarios)
    }
}

/// The scenario of this name, or in this file.
pub fn find(name: &str) -> Result<Scenario, SuiteError> {
    let is_name = !name.contains(['/', '.']);
    let mut known = Suite::ALL.iter().map(|suite| suite.folder().join(format!("{name}.toml")));
    if is_name && let Some(known) = known.find(|path| path.exists()) {
        return Ok(Scenario::load(&known)?);
    }
    if is_name && !Path::new(name).exists() {
        return Err(SuiteError::Unknown { name: name.to_owned() });
    }
    Ok(Scenario::load(Path::new(name))?)
}
