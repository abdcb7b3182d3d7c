//! States as values of the Informal Trace Format.
//!
//! The profile is the portable part of the format: integers are `{"#bigint":"1"}`, sequences
//! arrays, maps `{"#map":[[key,value],…]}`, sets `{"#set":[…]}`, tuples `{"#tup":[…]}`, structs
//! records, variants without data strings, variants with data `{"tag","value":{…}}`. There is no
//! null and no float. What is in a variant is always a record, if need be one with the one field
//! `f0`. Every name is an identifier and no keyword of Python: `from` becomes `from_`, and `None`
//! becomes `None_`. Names and stamps of the protocol are written as it displays them: `n1`, `1.0`,
//! `s1.1:n1#0`.

use serde::Serialize;
use serde::ser::{self, SerializeMap, SerializeStruct};
use serde_json::{Map, Value, json};
use std::any::type_name;
use std::fmt;

/// Why a state cannot be written: the format has no value for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trace cannot hold this state: {0}")]
pub struct Unwritable(String);

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Unwritable(reason.to_string())
    }
}

/// The value that stands for `of`.
pub fn value<T: Serialize + ?Sized>(of: &T) -> Result<Value, Unwritable> {
    of.serialize(Writer { of: short_name(type_name::<T>()) })
}

/// The text of the key of a map, as ways to values spell it.
pub fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Object(fields) => match (fields.get("#bigint"), fields.get("#tup")) {
            (Some(Value::String(digits)), _) => digits.clone(),
            (_, Some(Value::Array(items))) => {
                let items: Vec<String> = items.iter().map(key_text).collect();
                format!("({})", items.join(", "))
            }
            (_, _) => key.to_string(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => key.to_string(),
    }
}

/// The name of a field in a state.
pub fn field_name(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let mut field: String = name.chars().map(fits).collect();
    if field.starts_with(|c: char| c.is_ascii_digit()) || field.starts_with('_') {
        field.insert(0, 'f');
    }
    if KEYWORDS.contains(&field.as_str()) {
        field.push('_');
    }
    field
}

/// The keywords of Python, which readers in Python cannot have as names.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Numbers that name something, and how the name begins.
const NAMES: [(&str, &str); 4] =
    [("NodeId", "n"), ("SchedulerId", "s"), ("ClientId", "c"), ("RequestId", "r")];

/// Types whose elements stand in no order.
const SETS: [&str; 2] = ["Set", "BTreeSet"];

/// The last part of the path of a type, without its parameters. Serde does not say which type a
/// transparent number or set has; this does.
fn short_name(path: &'static str) -> &'static str {
    let path = path.trim_start_matches('&');
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

fn integer(number: impl fmt::Display) -> Value {
    json!({ "#bigint": number.to_string() })
}

/// A variant with data. The data is a record; what is none becomes the one field of one.
fn variant(tag: &str, data: Value) -> Value {
    let is_record =
        data.as_object().is_some_and(|fields| !fields.keys().any(|k| k.starts_with('#')));
    let data = if is_record { data } else { json!({ "f0": data }) };
    json!({ "tag": field_name(tag), "value": data })
}

/// What is in an option; nothing if it is none. Anything else is taken for itself.
pub fn content(value: &Value) -> Option<&Value> {
    match value.get("tag").and_then(Value::as_str) {
        Some(NONE) => None,
        Some("Some") => content(inner(&value["value"])),
        Some(_) | None => Some(value),
    }
}

/// The one thing that is in a variant, or the record of all of it.
pub fn inner(data: &Value) -> &Value {
    let alone = data.as_object().filter(|fields| fields.len() == 1);
    alone.and_then(|fields| fields.get("f0")).unwrap_or(data)
}

/// The tag of an option with nothing in it.
pub const NONE: &str = "None_";

/// The text of a name made of parts, if these are the parts of one.
fn compound(name: &str, fields: &Map<String, Value>) -> Option<String> {
    let part = |field: &str| {
        fields.get(field).map(|value| content(value).map_or_else(String::new, key_text))
    };
    let text = match name {
        "Stamp" => format!("{}.{}", part("incarnation")?, part("version")?),
        "AttemptId" => format!("{}/{}", part("request")?, part("number")?),
        "Address" => {
            let (actor, incarnation) = (part("actor")?, part("incarnation")?);
            if incarnation.is_empty() { actor } else { format!("{actor}.{incarnation}") }
        }
        "ClaimId" => format!(
            "{}.{}:{}#{}",
            part("scheduler")?,
            part("incarnation")?,
            part("node")?,
            part("number")?
        ),
        _ => return None,
    };
    Some(text)
}

/// Turns what serde says into a value.
#[derive(Clone, Copy)]
struct Writer {
    /// The name of the type that is written.
    of: &'static str,
}

impl Writer {
    fn number(self, number: impl fmt::Display) -> Value {
        match NAMES.iter().find(|(of, _)| *of == self.of) {
            Some((_, prefix)) => Value::String(format!("{prefix}{number}")),
            None => integer(number),
        }
    }

    fn record(name: &'static str, tag: Option<&'static str>) -> Record {
        Record { name, tag, fields: Map::new() }
    }
}

type Written = Result<Value, Unwritable>;

macro_rules! numbers {
    ($($method:ident($number:ty))*) => {
        $(fn $method(self, number: $number) -> Written {
            Ok(self.number(number))
        })*
    };
}

impl ser::Serializer for Writer {
    type Ok = Value;
    type Error = Unwritable;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Entries;
    type SerializeStruct = Record;
    type SerializeStructVariant = Record;

    numbers! {
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32)
        serialize_u64(u64) serialize_u128(u128)
    }

    fn serialize_bool(self, truth: bool) -> Written {
        Ok(Value::Bool(truth))
    }

    fn serialize_f32(self, _: f32) -> Written {
        Err(Unwritable("it has a float".to_owned()))
    }

    fn serialize_f64(self, _: f64) -> Written {
        Err(Unwritable("it has a float".to_owned()))
    }

    fn serialize_char(self, letter: char) -> Written {
        Ok(Value::String(letter.to_string()))
    }

    fn serialize_str(self, text: &str) -> Written {
        Ok(Value::String(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written {
        Ok(bytes.iter().map(integer).collect())
    }

    fn serialize_none(self) -> Written {
        Ok(json!({ "tag": NONE, "value": {} }))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, inner: &T) -> Written {
        Ok(variant("Some", value(inner)?))
    }

    fn serialize_unit(self) -> Written {
        Ok(json!({ "#tup": [] }))
    }

    fn serialize_unit_struct(self, name: &'static str) -> Written {
        Ok(Value::String(name.to_owned()))
    }

    fn serialize_unit_variant(self, _: &str, _: u32, variant: &'static str) -> Written {
        Ok(Value::String(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        inner: &T,
    ) -> Written {
        inner.serialize(Writer { of: name })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        tag: &'static str,
        inner: &T,
    ) -> Written {
        let inner = value(inner)?;
        // The name of an actor says by itself what it is.
        Ok(if name == "Actor" { inner } else { variant(tag, inner) })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Unwritable> {
        let kind = if SETS.contains(&self.of) { "#set" } else { "" };
        Ok(List { kind, tag: None, items: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Unwritable> {
        Ok(List { kind: "#tup", tag: None, items: Vec::new() })
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<List, Unwritable> {
        self.serialize_tuple(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        tag: &'static str,
        _: usize,
    ) -> Result<List, Unwritable> {
        Ok(List { kind: "", tag: Some(tag), items: Vec::new() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Unwritable> {
        Ok(Entries { entries: Vec::new(), key: None })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Record, Unwritable> {
        Ok(Writer::record(name, None))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        tag: &'static str,
        _: usize,
    ) -> Result<Record, Unwritable> {
        Ok(Writer::record(name, Some(tag)))
    }
}

/// A sequence, set, tuple, or variant with a tuple, being written.
struct List {
    /// `#set`, `#tup`, or nothing for a sequence.
    kind: &'static str,
    /// The variant.
    tag: Option<&'static str>,
    items: Vec<Value>,
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Unwritable> {
        self.items.push(value(item)?);
        Ok(())
    }

    fn finish(self) -> Value {
        if let Some(tag) = self.tag {
            let fields = self.items.into_iter().enumerate();
            let fields: Map<String, Value> = fields.map(|(n, v)| (format!("f{n}"), v)).collect();
            return json!({ "tag": tag, "value": fields });
        }
        let items = Value::Array(self.items);
        if self.kind.is_empty() { items } else { json!({ self.kind: items }) }
    }
}

macro_rules! lists {
    ($($kind:ident::$push:ident)*) => {
        $(impl ser::$kind for List {
            type Ok = Value;
            type Error = Unwritable;
            fn $push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Unwritable> {
                self.push(item)
            }
            fn end(self) -> Written {
                Ok(self.finish())
            }
        })*
    };
}

lists! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

/// A map being written.
struct Entries {
    entries: Vec<Value>,
    key: Option<Value>,
}

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.key = Some(value(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, entry: &T) -> Result<(), Unwritable> {
        let key = self.key.take().ok_or_else(|| Unwritable("it has a value without key".into()))?;
        self.entries.push(json!([key, value(entry)?]));
        Ok(())
    }

    fn end(self) -> Written {
        Ok(json!({ "#map": self.entries }))
    }
}

/// A struct, or variant with one, being written.
struct Record {
    name: &'static str,
    tag: Option<&'static str>,
    fields: Map<String, Value>,
}

impl SerializeStruct for Record {
    type Ok = Value;
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        of: &T,
    ) -> Result<(), Unwritable> {
        self.fields.insert(field_name(name), value(of)?);
        Ok(())
    }

    fn end(self) -> Written {
        Ok(match self.tag {
            Some(tag) => variant(tag, Value::Object(self.fields)),
            None => match compound(self.name, &self.fields) {
                Some(text) => Value::String(text),
                None => Value::Object(self.fields),
            },
        })
    }
}

impl ser::SerializeStructVariant for Record {
    type Ok = Value;
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        of: &T,
    ) -> Result<(), Unwritable> {
        SerializeStruct::serialize_field(self, name, of)
    }

    fn end(self) -> Written {
        SerializeStruct::end(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_protocol::{
        Actor, Address, AttemptId, AttemptNumber, ClaimId, ClaimNumber, ClientId, Delta,
        Incarnation, NodeId, RequestId, SchedulerId, Set, Stamp, Version,
    };

    fn text_of(of: &(impl Serialize + fmt::Display)) -> (Value, String) {
        (value(of).unwrap(), of.to_string())
    }

    #[test]
    fn names_and_stamps_are_written_as_they_are_displayed() {
        let incarnation = Incarnation(3);
        let (scheduler, node, request) = (SchedulerId(1), NodeId(2), RequestId(7));
        let claim = ClaimId { scheduler, incarnation, node, number: ClaimNumber(0) };
        let address = |incarnation| Address { actor: Actor::Client(ClientId(4)), incarnation };
        let written = [
            text_of(&scheduler),
            text_of(&node),
            text_of(&request),
            text_of(&ClientId(4)),
            text_of(&claim),
            text_of(&AttemptId { request, number: AttemptNumber(2) }),
            text_of(&Stamp { incarnation, version: Version(9) }),
            text_of(&Actor::Node(node)),
            text_of(&address(None)),
            text_of(&address(Some(incarnation))),
        ];
        for (value, displayed) in written {
            assert_eq!(value, Value::String(displayed));
        }
        assert_eq!(value(&Version(9)).unwrap(), json!({ "#bigint": "9" }), "a plain number");
    }

    #[derive(Serialize)]
    enum Shape {
        Dot,
        Circle(u8),
        Line(u8, u8),
        Square { side: i64 },
    }

    #[test]
    fn every_kind_of_value_has_its_form() {
        let two = json!({ "#bigint": "2" });
        assert_eq!(value(&[true, false][..]).unwrap(), json!([true, false]));
        assert_eq!(value(&(2, "x")).unwrap(), json!({ "#tup": [two, "x"] }));
        let set: Set<u8> = [2].into_iter().collect();
        assert_eq!(value(&set).unwrap(), json!({ "#set": [two] }));
        let map: counterfoil_protocol::Map<NodeId, u8> = [(NodeId(1), 2)].into_iter().collect();
        assert_eq!(value(&map).unwrap(), json!({ "#map": [["n1", two]] }));
        let some = json!({ "tag": "Some", "value": { "f0": "n1" } });
        assert_eq!(value(&Some(NodeId(1))).unwrap(), some);
        assert_eq!(content(&some), Some(&json!("n1")));
        let none = json!({ "tag": "None_", "value": {} });
        assert_eq!(value(&None::<u8>).unwrap(), none);
        assert_eq!(content(&none), None);
        assert_eq!(value(&Shape::Dot).unwrap(), json!("Dot"));
        let circle = json!({ "tag": "Circle", "value": { "f0": two } });
        assert_eq!(value(&Shape::Circle(2)).unwrap(), circle);
        let line = json!({ "tag": "Line", "value": { "f0": two, "f1": two } });
        assert_eq!(value(&Shape::Line(2, 2)).unwrap(), line);
        let square = json!({ "tag": "Square", "value": { "side": { "#bigint": "-2" } } });
        assert_eq!(value(&Shape::Square { side: -2 }).unwrap(), square);
        assert!(value(&0.5).is_err());
    }

    #[test]
    fn no_field_is_called_by_a_keyword() {
        let delta = Delta { from: Version(0), to: Version(1), changes: Default::default() };
        let written = value(&delta).unwrap();
        assert_eq!(written["from_"], json!({ "#bigint": "0" }));
        assert_eq!(written["to"], json!({ "#bigint": "1" }));
        assert_eq!(field_name("a-b"), "a_b");
        assert_eq!(field_name("_x"), "f_x");
    }
}
