//! Kinds of resource, and groups, which are counted like resources.

use super::Name;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A group of requests: what its members are to each other, near or apart, their demands say. A
/// user makes the number up; as text it is `GROUP_` and the number in decimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl GroupId {
    const PREFIX: &str = "GROUP_";

    /// The group of this text. There is one text for each group: no sign, no zeros in front.
    fn of(text: &str) -> Option<GroupId> {
        let number = text.strip_prefix(Self::PREFIX)?.parse().ok().map(GroupId)?;
        (number.to_string() == text).then_some(number)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupIdError(String);

impl fmt::Display for GroupIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no group: use GROUP_ and a number", self.0)
    }
}

impl std::error::Error for GroupIdError {}

impl FromStr for GroupId {
    type Err = GroupIdError;
    fn from_str(text: &str) -> Result<Self, GroupIdError> {
        GroupId::of(text).ok_or_else(|| GroupIdError(text.to_owned()))
    }
}

/// A kind of resource, with its unit.
///
/// Where people read it, its form is its text; else it is a tag of one byte, with what follows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceClass {
    /// `VCPU`: virtual processors.
    Vcpu,
    /// `MEMORY_MB`: memory, in MiB.
    MemoryMb,
    /// `DISK_GB`: disk, in GiB.
    DiskGb,
    /// `GROUP_<number>`: members of a group. Every node has it without bound, whatever its
    /// inventory says; what is used of it is how many members are there.
    Group(GroupId),
    /// Any other name; the unit is whatever the operator takes it for.
    Custom(Name),
}

impl From<Name> for ResourceClass {
    fn from(name: Name) -> Self {
        match name.as_str() {
            "VCPU" => ResourceClass::Vcpu,
            "MEMORY_MB" => ResourceClass::MemoryMb,
            "DISK_GB" => ResourceClass::DiskGb,
            text => GroupId::of(text).map_or(ResourceClass::Custom(name), ResourceClass::Group),
        }
    }
}

impl From<ResourceClass> for Name {
    fn from(class: ResourceClass) -> Name {
        Name(class.to_string())
    }
}

impl fmt::Display for ResourceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceClass::Vcpu => f.write_str("VCPU"),
            ResourceClass::MemoryMb => f.write_str("MEMORY_MB"),
            ResourceClass::DiskGb => f.write_str("DISK_GB"),
            ResourceClass::Group(group) => group.fmt(f),
            ResourceClass::Custom(name) => name.fmt(f),
        }
    }
}

impl fmt::Debug for ResourceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The form of a [`ResourceClass`] for programs: the number of a variant is its tag.
#[derive(Serialize, Deserialize)]
enum Tagged<N> {
    Vcpu,
    MemoryMb,
    DiskGb,
    Group(u64),
    Custom(N),
}

impl Serialize for ResourceClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let tagged = match self {
            ResourceClass::Vcpu => Tagged::Vcpu,
            ResourceClass::MemoryMb => Tagged::MemoryMb,
            ResourceClass::DiskGb => Tagged::DiskGb,
            ResourceClass::Group(group) => Tagged::Group(group.0),
            ResourceClass::Custom(name) => Tagged::Custom(name.as_str()),
        };
        tagged.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ResourceClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Name::deserialize(deserializer).map(ResourceClass::from);
        }
        Ok(match Tagged::<Name>::deserialize(deserializer)? {
            Tagged::Vcpu => ResourceClass::Vcpu,
            Tagged::MemoryMb => ResourceClass::MemoryMb,
            Tagged::DiskGb => ResourceClass::DiskGb,
            Tagged::Group(number) => ResourceClass::Group(GroupId(number)),
            // A stranger may write any name here, and each class has one value.
            Tagged::Custom(name) => ResourceClass::from(name),
        })
    }
}

impl Serialize for GroupId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for GroupId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(deserializer).map(GroupId)
        }
    }
}
