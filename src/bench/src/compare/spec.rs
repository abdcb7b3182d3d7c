//! What one cell measures: a design or a mix of them, at one size, with one strategy.

use crate::baselines::database::Place;
use crate::baselines::{Amounts, Design, Given};
use crate::workload::{self, ReadError};
use clap::ValueEnum;
use counterfoil_placement::{Policy, PolicyName, Share};
use counterfoil_protocol::{Demand, Inventory, ResourceClass, SchedulerId};
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the parts run, and what carries their messages.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// Threads of one process, with queues between them: the model of 2016.
    Model,
    /// Processes, over UDP on loopback; counterfoil with the daemons of the service.
    Udp,
}

impl Setting {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Setting::Model => "model",
            Setting::Udp => "udp",
        }
    }
}

/// What is asked for, and on which nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// Nodes of the model, empty; the six flavors, as many as fill them and 32 GiB for each node
    /// more.
    Filling,
    /// Nodes of the real run, full but for 49 places on 49 of them; 50 requests at once.
    Preloaded,
}

impl Case {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Case::Filling => "filling",
            Case::Preloaded => "preloaded",
        }
    }
}

/// What one cell measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The design of each scheduler.
    pub designs: Vec<Design>,
    /// Where it runs.
    pub setting: Setting,
    /// What it runs.
    pub case: Case,
    /// How many nodes.
    pub nodes: u32,
    /// How schedulers choose.
    pub strategy: String,
    /// Whether those of this project take nodes of their own share first.
    pub own_first: bool,
    /// Requests open at each scheduler at once.
    pub window: usize,
    /// Attempts of one request, at most.
    pub attempts_max: u32,
    /// How old the view of the caching scheduler becomes.
    pub refresh: Duration,
    /// A cell is cut off after so long.
    pub limit: Duration,
    /// Where everything random begins.
    pub seed: u64,
    /// The database, as on the command line.
    pub database: String,
    /// What is asked for instead of the flavors, if anything: a file.
    pub workload: Option<PathBuf>,
    /// What the nodes are instead of those of the model, if anything: a file.
    pub nodes_from: Option<PathBuf>,
}

/// The nodes and the requests of a cell: the same for every design.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The nodes, from number 1 on.
    pub given: Arc<[Given]>,
    /// The requests, in the order in which they are asked.
    pub requests: Vec<Arc<Demand>>,
}

impl Scene {
    /// The share of scheduler number `id` of so many in the requests, with their numbers.
    pub fn share(&self, id: u32, schedulers: u32) -> Vec<(u64, Arc<Demand>)> {
        let of_id =
            |(number, _): &(u64, Arc<Demand>)| number % u64::from(schedulers) == u64::from(id - 1);
        (0..).zip(self.requests.iter().cloned()).filter(of_id).collect()
    }

    /// The memory that may be allocated on all nodes, in MiB.
    pub fn capacity_mib(&self) -> u64 {
        self.given.iter().map(|given| given.capacity().memory_mib()).sum()
    }

    /// How many requests of the mean size all nodes take by their memory, empty.
    pub fn places(&self) -> f64 {
        let asked: u64 =
            self.requests.iter().map(|demand| Amounts::wanted(demand).memory_mib()).sum();
        self.capacity_mib() as f64 * self.requests.len() as f64 / asked.max(1) as f64
    }
}

/// Flavor 154 of the real run: the one of which twelve fit a node by memory.
const LARGE: (u64, u64, u64) = (4, 8192, 2048);

/// Of [`LARGE`], so many fit a node of the real run.
const LARGE_PER_NODE: usize = 12;

/// Places that the preloaded case leaves.
pub const PLACES_LEFT: usize = 49;

/// Memory that is asked for beyond what there is, for each node, in MiB.
const BEYOND_MIB: u64 = 32 << 10;

impl Spec {
    /// How many schedulers.
    pub fn schedulers(&self) -> u32 {
        self.designs.len() as u32
    }

    /// The design; of a mix, those of all schedulers.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.designs.iter().map(|design| design.name()).collect();
        let same = names.iter().all(|name| *name == names[0]);
        if same { names[0].to_owned() } else { names.join("+") }
    }

    /// What makes it another cell than the others of a comparison.
    pub fn key(&self) -> String {
        let Spec { setting, case, nodes, strategy, seed, .. } = self;
        let (name, schedulers) = (self.name(), self.schedulers());
        let (setting, case) = (setting.name(), case.name());
        format!("{setting}/{case}/{nodes}/{schedulers}/{strategy}/{seed}/{name}")
    }

    /// How schedulers choose.
    ///
    /// # Panics
    /// If it names no strategy.
    pub fn strategy(&self) -> PolicyName {
        self.strategy.parse().expect("it was named from the strategies that there are")
    }

    /// How schedulers of this project choose.
    ///
    /// # Panics
    /// As [`Spec::strategy`].
    pub fn policy(&self) -> Policy {
        Policy { own_first: self.own_first, ..self.strategy().policy() }
    }

    /// The part of the nodes that scheduler number `id`, of this project, takes first: the others of
    /// this project have one as large.
    pub fn share_of_nodes(&self, id: u32) -> Share {
        let all = (1..).map(SchedulerId).zip(&self.designs);
        let own = all.filter(|(_, design)| **design == Design::Counterfoil);
        Share::beside(SchedulerId(id), own.map(|(id, _)| id))
    }

    /// Where the database is.
    ///
    /// # Panics
    /// If it names none.
    pub fn place(&self) -> Place {
        self.database.parse().expect("it was read from the command line")
    }

    /// Whether any of the designs works on a database.
    pub fn has_database(&self) -> bool {
        self.designs.iter().any(|design| design.has_database())
    }

    /// The nodes and the requests.
    ///
    /// # Errors
    /// If a file of them cannot be read.
    pub fn scene(&self) -> Result<Scene, ReadError> {
        if self.case == Case::Preloaded {
            let requests = (0..=PLACES_LEFT).map(|_| Arc::new(large())).collect();
            return Ok(Scene { given: self.preloaded().into(), requests });
        }
        let inventories = match &self.nodes_from {
            None => vec![workload::model_node(); self.nodes as usize],
            Some(path) => {
                let nodes = workload::read_nodes(path)?.into_iter().map(plain_inventory);
                nodes.take(self.nodes as usize).collect()
            }
        };
        let given =
            inventories.into_iter().map(|inventory| Given { inventory, before: Vec::new() });
        let given: Arc<[Given]> = given.collect();
        let requests = match &self.workload {
            None => self.filling(&given),
            Some(path) => {
                let asked = workload::read_requests(path)?.into_iter();
                asked.map(|asked| Arc::new(plain(&asked.demand))).collect()
            }
        };
        Ok(Scene { given, requests })
    }

    /// The six flavors, until they are worth the memory of all nodes and a little more.
    fn filling(&self, given: &[Given]) -> Vec<Arc<Demand>> {
        let flavors: Vec<Arc<Demand>> = workload::FLAVORS
            .iter()
            .map(|(_, vcpu, memory_mb)| Arc::new(workload::demand(*vcpu, *memory_mb)))
            .collect();
        let enough: u64 = given.iter().map(|of| of.capacity().memory_mib() + BEYOND_MIB).sum();
        let mut random = Rng::with_seed(self.seed);
        let mut asked_mib = 0;
        let mut requests = Vec::new();
        while asked_mib < enough {
            let flavor = &flavors[random.usize(..flavors.len())];
            asked_mib += Amounts::wanted(flavor).memory_mib();
            requests.push(flavor.clone());
        }
        requests
    }

    fn preloaded(&self) -> Vec<Given> {
        let inventory: Inventory = workload::real_node();
        let mut nodes: Vec<usize> = (0..self.nodes as usize).collect();
        Rng::with_seed(self.seed).shuffle(&mut nodes);
        let large = Arc::new(large());
        let full = vec![large; LARGE_PER_NODE];
        let mut given = vec![Given { inventory, before: full }; nodes.len()];
        for node in nodes.into_iter().take(PLACES_LEFT) {
            given[node].before.pop();
        }
        given
    }
}

/// A demand for the classes that every design counts: no design is asked for another.
fn plain(demand: &Demand) -> Demand {
    let classes = [ResourceClass::Vcpu, ResourceClass::MemoryMb, ResourceClass::DiskGb];
    let amounts = classes.into_iter().map(|class| (class.clone(), demand.resources.get(&class)));
    let resources = amounts.filter(|(_, amount)| *amount > 0).collect();
    Demand { resources, ..Demand::default() }
}

/// An inventory of the classes that every design counts.
fn plain_inventory(inventory: Inventory) -> Inventory {
    let classes = inventory.classes.iter().filter(|(class, _)| is_counted(class));
    let classes = classes.map(|(class, of_class)| (class.clone(), of_class.clone())).collect();
    Inventory { classes, ..Inventory::default() }
}

/// Whether every design counts this class.
fn is_counted(class: &ResourceClass) -> bool {
    match class {
        ResourceClass::Vcpu | ResourceClass::MemoryMb | ResourceClass::DiskGb => true,
        ResourceClass::Group(_) | ResourceClass::Custom(_) => false,
    }
}

/// A demand for flavor 154.
fn large() -> Demand {
    let (vcpu, memory_mb, disk_gb) = LARGE;
    let mut demand = workload::demand(vcpu, memory_mb);
    demand.resources.set(ResourceClass::DiskGb, disk_gb);
    demand
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small cell.
    pub(crate) fn small(design: Design, schedulers: usize) -> Spec {
        Spec {
            designs: vec![design; schedulers],
            setting: Setting::Model,
            case: Case::Filling,
            nodes: 4,
            strategy: "spread".to_owned(),
            own_first: true,
            window: 8,
            attempts_max: 5,
            refresh: Duration::from_secs(60),
            limit: Duration::from_secs(60),
            seed: 1,
            database: "sqlite:".to_owned(),
            workload: None,
            nodes_from: None,
        }
    }

    #[test]
    fn the_model_asks_for_its_capacity_and_a_little_more() {
        let spec = Spec { nodes: 300, ..small(Design::Filter, 2) };
        let scene = spec.scene().unwrap();
        let of_node = scene.requests.len() as f64 / 300.0;
        assert!((40.0..41.5).contains(&of_node), "{of_node} for each node");
        let places = scene.places() / 300.0;
        assert!((37.0..38.5).contains(&places), "{places} on each node");
        assert_eq!(scene.share(1, 2).len() + scene.share(2, 2).len(), scene.requests.len());
        assert_eq!(scene.requests, spec.scene().unwrap().requests, "by its seed");
    }

    #[test]
    fn files_are_what_is_asked_for_and_on_which_nodes() {
        let folder = tempfile::tempdir().unwrap();
        let (pods, nodes) = (folder.path().join("pods.csv"), folder.path().join("nodes.csv"));
        let header = workload::openb::POD_COLUMNS.join(",");
        let pod = "p,6000,12288,2,460,V100M16,LS,Running,427061,427071,427061";
        std::fs::write(&pods, format!("{header}\n{pod}\n")).unwrap();
        let header = workload::openb::NODE_COLUMNS.join(",");
        std::fs::write(&nodes, format!("{header}\na,32000,262144,0,\nb,96000,393216,8,G2\n"))
            .unwrap();
        let (workload, nodes_from) = (Some(pods.clone()), Some(nodes));
        let spec = Spec { workload, nodes_from, ..small(Design::Shared, 1) };
        let scene = spec.scene().unwrap();
        assert_eq!(scene.given[1].capacity(), Amounts([96_000, 393_216, 0]));
        assert_eq!(scene.given[1].inventory.classes.len(), 2, "no design counts its GPUs");
        assert_eq!(*scene.requests[0], workload::demand(6000, 12_288));
        std::fs::write(&pods, "what,else\n").unwrap();
        assert!(spec.scene().is_err());
    }

    #[test]
    fn the_preloaded_case_has_one_place_too_few() {
        let spec = Spec { case: Case::Preloaded, nodes: 1000, ..small(Design::Shared, 2) };
        let Scene { given, requests } = spec.scene().unwrap();
        let want = Amounts::wanted(&requests[0]);
        let places = |given: &Given| {
            let mut used = given.used();
            let mut places = 0;
            while given.capacity().minus(used).has(want) {
                used = used.plus(want);
                places += 1;
            }
            assert!(given.capacity().has(given.used()));
            places
        };
        let places: Vec<usize> = given.iter().map(places).collect();
        assert_eq!(places.iter().sum::<usize>() + 1, requests.len());
        assert!(places.iter().all(|places| *places <= 1));
    }
}
