//! The same value under other names: nodes, schedulers and requests exchanged wherever they stand.
//!
//! Every name has a type of its own, and serde says which. So a value is written with other names
//! and read again, and no type needs to know how.

use crate::cluster::{Action, Cluster, World};
use crate::protocol::Protocol;
use crate::shared::Shared;
use serde::de::DeserializeOwned;
use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Which name each node, scheduler and request is to have. Names from 1; those beyond stay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Names {
    /// By node.
    pub nodes: Vec<u32>,
    /// By scheduler.
    pub schedulers: Vec<u32>,
    /// By request.
    pub requests: Vec<u32>,
}

impl Names {
    /// Where everything keeps its name.
    pub fn same(nodes: u32, schedulers: u32, requests: u32) -> Self {
        Names {
            nodes: (1..=nodes).collect(),
            schedulers: (1..=schedulers).collect(),
            requests: (1..=requests).collect(),
        }
    }

    /// The value under these names.
    ///
    /// # Panics
    /// If the value cannot be read again: every part of a state can.
    pub fn renamed<T: Serialize + DeserializeOwned>(&self, value: &T) -> T {
        let renamed = Renamed { value, names: self, kind: None };
        let bytes = postcard::to_stdvec(&renamed).expect("a state can be written");
        postcard::from_bytes(&bytes).expect("what was written can be read")
    }

    /// A state of a world that these names leave as it is, under these names. What was violated keeps
    /// its words.
    pub fn cluster<P: Protocol>(&self, world: &World<P>, cluster: &Cluster<P>) -> Cluster<P> {
        let mut renamed = Cluster {
            processes: Default::default(),
            disks: Default::default(),
            network: Default::default(),
            mail: self.renamed(&cluster.mail),
            choices: self.renamed(&cluster.choices),
            to_come: cluster.to_come.iter().map(|index| self.outside(world, *index)).collect(),
            budget: cluster.budget.clone(),
            history: Shared::new(self.renamed(&*cluster.history)),
            violated: cluster.violated.clone(),
        };
        for process in cluster.processes.values() {
            let process = self.process::<P>(&world.setting, process);
            renamed.processes.insert(P::address(&process), Shared::new(process));
        }
        for (actor, disk) in cluster.disks.iter() {
            let disk = Shared::new(self.disk::<P>(disk));
            renamed.disks.insert(self.renamed(actor), disk);
        }
        for (datagram, flight) in cluster.network.iter() {
            renamed.network.put(Shared::new(self.renamed(&**datagram)), flight);
        }
        renamed
    }

    /// A process under these names.
    pub(crate) fn process<P: Protocol>(&self, setting: &P::Setting, of: &P::Process) -> P::Process {
        P::assemble(setting, self.renamed(&P::parts(of)))
    }

    /// A disk under these names.
    pub(crate) fn disk<P: Protocol>(&self, of: &P::Disk) -> P::Disk {
        P::assemble_disk(self.renamed(&P::disk_parts(of)))
    }

    /// An action in a world that these names leave as it is, under these names.
    pub fn action<P: Protocol>(&self, world: &World<P>, action: &Action<P>) -> Action<P> {
        let mut renamed = self.renamed(action);
        if let Action::Outside(index, _) = &mut renamed {
            *index = self.outside(world, *index);
        }
        renamed
    }

    /// The index of the image of an outside input.
    ///
    /// # Panics
    /// If the image is not in the world.
    pub(crate) fn outside<P: Protocol>(&self, world: &World<P>, index: u8) -> u8 {
        let image = self.renamed(&world.outside[usize::from(index)]);
        let found = world.outside.iter().position(|other| *other == image);
        found.expect("these names leave the world as it is") as u8
    }

    fn of(&self, kind: Kind, name: u64) -> u64 {
        let names = match kind {
            Kind::Node => &self.nodes,
            Kind::Scheduler => &self.schedulers,
            Kind::Request => &self.requests,
        };
        let index = usize::try_from(name).ok().and_then(|name| name.checked_sub(1));
        index.and_then(|index| names.get(index)).map_or(name, |name| u64::from(*name))
    }
}

/// What has names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Node,
    Scheduler,
    Request,
}

impl Kind {
    fn of(type_name: &str) -> Option<Kind> {
        match type_name {
            "NodeId" => Some(Kind::Node),
            "SchedulerId" => Some(Kind::Scheduler),
            "RequestId" => Some(Kind::Request),
            _ => None,
        }
    }
}

/// A value that is written under other names; as a name of this kind, if it is one.
struct Renamed<'a, T: ?Sized> {
    value: &'a T,
    names: &'a Names,
    kind: Option<Kind>,
}

impl<T: Serialize + ?Sized> Serialize for Renamed<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Renaming { inner: serializer, names: self.names, kind: self.kind })
    }
}

/// Writes what it is given with `inner`, names exchanged.
struct Renaming<'a, S> {
    inner: S,
    names: &'a Names,
    kind: Option<Kind>,
}

impl<'a, S> Renaming<'a, S> {
    fn part<'b, T: ?Sized>(&self, value: &'b T) -> Renamed<'b, T>
    where
        'a: 'b,
    {
        Renamed { value, names: self.names, kind: None }
    }

    fn around<C>(names: &'a Names, inner: C) -> Renaming<'a, C> {
        Renaming { inner, names, kind: None }
    }
}

macro_rules! as_it_is {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Renaming<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Renaming<'a, S::SerializeSeq>;
    type SerializeTuple = Renaming<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Renaming<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Renaming<'a, S::SerializeTupleVariant>;
    type SerializeMap = Renaming<'a, S::SerializeMap>;
    type SerializeStruct = Renaming<'a, S::SerializeStruct>;
    type SerializeStructVariant = Renaming<'a, S::SerializeStructVariant>;

    as_it_is!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    );

    fn serialize_u32(self, value: u32) -> Result<S::Ok, S::Error> {
        let renamed = self.kind.map_or(value.into(), |kind| self.names.of(kind, value.into()));
        self.inner.serialize_u32(u32::try_from(renamed).expect("names of 32 bits stay so"))
    }

    fn serialize_u64(self, value: u64) -> Result<S::Ok, S::Error> {
        self.inner.serialize_u64(self.kind.map_or(value, |kind| self.names.of(kind, value)))
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        self.inner.serialize_some(&part)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = Renamed { kind: Kind::of(name), ..self.part(value) };
        self.inner.serialize_newtype_struct(name, &part)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let part = self.part(value);
        self.inner.serialize_newtype_variant(name, index, variant, &part)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Self::around(self.names, self.inner.serialize_seq(length)?))
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Self::around(self.names, self.inner.serialize_tuple(length)?))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Self::around(self.names, self.inner.serialize_tuple_struct(name, length)?))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.inner.serialize_tuple_variant(name, index, variant, length)?;
        Ok(Self::around(self.names, inner))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Self::around(self.names, self.inner.serialize_map(length)?))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Self::around(self.names, self.inner.serialize_struct(name, length)?))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.inner.serialize_struct_variant(name, index, variant, length)?;
        Ok(Self::around(self.names, inner))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! parts {
    ($($trait:ident: $method:ident($($field:ident: $type:ty)?)),* $(,)?) => {$(
        impl<C: $trait> $trait for Renaming<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($field: $type,)?
                value: &T,
            ) -> Result<(), C::Error> {
                let part = self.part(value);
                self.inner.$method($($field,)? &part)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

parts!(
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(name: &'static str),
    SerializeStructVariant: serialize_field(name: &'static str),
);

impl<C: SerializeMap> SerializeMap for Renaming<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let part = self.part(key);
        self.inner.serialize_key(&part)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let part = self.part(value);
        self.inner.serialize_value(&part)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{Actor, Map, NodeId, RequestId, SchedulerId, Version};

    #[test]
    fn names_are_exchanged_wherever_they_stand_and_numbers_are_not() {
        let names = Names { nodes: vec![2, 1], schedulers: vec![1, 3, 2], requests: vec![2, 1] };
        let value: Map<NodeId, Vec<(Actor, Option<RequestId>, Version)>> = [
            (NodeId(1), vec![(Actor::Scheduler(SchedulerId(2)), Some(RequestId(1)), Version(1))]),
            (NodeId(7), vec![(Actor::Node(NodeId(2)), None, Version(2))]),
        ]
        .into_iter()
        .collect();
        let renamed = names.renamed(&value);
        let expected: Map<NodeId, Vec<(Actor, Option<RequestId>, Version)>> = [
            (NodeId(2), vec![(Actor::Scheduler(SchedulerId(3)), Some(RequestId(2)), Version(1))]),
            (NodeId(7), vec![(Actor::Node(NodeId(1)), None, Version(2))]),
        ]
        .into_iter()
        .collect();
        assert_eq!(renamed, expected);
        assert_eq!(names.renamed(&renamed), value);
    }
}
