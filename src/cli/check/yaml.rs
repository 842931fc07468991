//! Parsing of YAML and JSON into trees with locations.

use super::text::Text;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver};
use serde_json::{Map, Number, Value};
use std::collections::HashMap;

/// A value with the index of its first character.
#[derive(Clone, Debug)]
pub struct Node {
    /// The index of the first character.
    pub at: usize,
    /// The value.
    pub kind: Kind,
}

/// The type of a value.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A scalar, with its style.
    Scalar(String, ScalarStyle),
    /// A list.
    Sequence(Vec<Node>),
    /// An object, which may have duplicate names.
    Mapping(Vec<(Key, Node)>),
}

/// The name of a member.
#[derive(Clone, Debug)]
pub struct Key {
    /// The index of the first character.
    pub at: usize,
    /// The name.
    pub name: String,
    /// Whether it is the merge key `<<`, which is a name only in quotes.
    is_merge: bool,
}

/// A YAML syntax error.
#[derive(Debug)]
pub struct Unreadable {
    /// The index of the character.
    pub at: usize,
    /// The error message.
    pub why: String,
}

/// All documents of a text.
pub fn parse(text: &Text) -> Result<Vec<Node>, Unreadable> {
    let mut builder = Builder::default();
    Parser::new_from_str(text.content())
        .load(&mut builder, true)
        .map_err(|error| Unreadable { at: error.marker().index(), why: error.info().to_owned() })?;
    match builder.fault {
        Some(fault) => Err(fault),
        None => Ok(builder.documents),
    }
}

/// Builds trees from parser events. An alias is replaced with a copy, and the total size is bounded.
#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    fault: Option<Unreadable>,
}

/// A list or an object that is not complete.
struct Open {
    anchor: usize,
    node: Node,
    key: Option<Key>,
}

// === impl Node ===

impl Node {
    /// An empty object.
    pub fn empty() -> Self {
        Self { at: 0, kind: Kind::Mapping(Vec::new()) }
    }

    /// The member with this name; the last one of duplicates.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().rfind(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// The member of a protobuf message, in snake_case or camelCase.
    pub fn field(&self, snake_case: &str) -> Option<&Self> {
        self.get(snake_case).or_else(|| self.get(&camel_case(snake_case)))
    }

    /// The members of an object.
    pub fn members(&self) -> &[(Key, Self)] {
        if let Kind::Mapping(members) = &self.kind { members } else { &[] }
    }

    /// The items of a list.
    pub fn items(&self) -> &[Self] {
        if let Kind::Sequence(items) = &self.kind { items } else { &[] }
    }

    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        if let Kind::Scalar(text, _) = &self.kind { Some(text) } else { None }
    }

    /// Replaces each merge key with the members that the object does not have (<https://yaml.org/type/merge.html>), as
    /// kubectl does. Of several objects, the first with a member wins.
    pub fn merge_keys(&mut self) {
        match &mut self.kind {
            Kind::Scalar(..) => {}
            Kind::Sequence(items) => items.iter_mut().for_each(Self::merge_keys),
            Kind::Mapping(members) => {
                members.iter_mut().for_each(|(_, value)| value.merge_keys());
                let is_merge =
                    |(key, value): &(Key, Self)| key.is_merge && value.merged().is_some();
                let (merges, mut own): (Vec<_>, Vec<_>) = members.drain(..).partition(is_merge);
                for (key, value) in merges.iter().filter_map(|(_, value)| value.merged()).flatten()
                {
                    if !own.iter().any(|(other, _)| other.name == key.name) {
                        own.push((key.clone(), value.clone()));
                    }
                }
                *members = own;
            }
        }
    }

    /// The members that this value of a merge key adds; `None` if it is not an object or a list of objects.
    fn merged(&self) -> Option<impl Iterator<Item = &(Key, Self)>> {
        let objects = match &self.kind {
            Kind::Scalar(..) => return None,
            Kind::Mapping(_) => std::slice::from_ref(self),
            Kind::Sequence(items) => items.as_slice(),
        };
        let is_object = |object: &Self| matches!(object.kind, Kind::Mapping(_));
        objects.iter().all(is_object).then(|| objects.iter().flat_map(Self::members))
    }

    /// Converts the value to JSON. Of duplicate names, the last one wins.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar(text, ScalarStyle::Plain) => plain(text),
            Kind::Scalar(text, _) => Value::String(text.clone()),
            Kind::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Kind::Mapping(members) => {
                let members =
                    members.iter().map(|(key, value)| (key.name.clone(), value.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// Resolves a plain scalar by the core schema of YAML 1.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match serde_json::from_str::<Number>(text) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.to_owned()),
        },
    }
}

// === impl Builder ===

impl<'input> SpannedEventReceiver<'input> for Builder {
    fn on_event(&mut self, event: Event<'input>, span: Span) {
        let at = span.start.index();
        match event {
            Event::Scalar(text, style, anchor, _) => {
                self.add(anchor, Node { at, kind: Kind::Scalar(text.into_owned(), style) });
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, at, Kind::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(anchor, at, Kind::Mapping(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { anchor, node, .. }) = self.open.pop() {
                    self.add(anchor, node);
                }
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.add(0, node),
                None => self.fail(at, "alias without an anchor"),
            },
            _ => {}
        }
    }
}

impl Builder {
    fn open(&mut self, anchor: usize, at: usize, kind: Kind) {
        self.open.push(Open { anchor, node: Node { at, kind }, key: None });
    }

    fn add(&mut self, anchor: usize, node: Node) {
        self.nodes = self.nodes.saturating_add(size(&node));
        if self.nodes > MOST_NODES {
            self.fail(node.at, "too many values");
            return;
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else { return self.documents.push(node) };
        match (&mut open.node.kind, open.key.take()) {
            (Kind::Sequence(items), _) => items.push(node),
            (Kind::Mapping(members), Some(key)) => members.push((key, node)),
            (_, _) => {
                let name = node.text().unwrap_or_default().to_owned();
                let is_plain = matches!(node.kind, Kind::Scalar(_, ScalarStyle::Plain));
                open.key = Some(Key { at: node.at, is_merge: is_plain && name == "<<", name });
            }
        }
    }

    fn fail(&mut self, at: usize, why: &str) {
        self.fault.get_or_insert(Unreadable { at, why: why.to_owned() });
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(..) => 1,
        // The items were counted when they were added, except those of an alias.
        Kind::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Mapping(members) => 1 + members.iter().map(|(_, value)| size(value)).sum::<usize>(),
    }
}

/// A bootstrap with thousands of clusters has several hundred thousand.
const MOST_NODES: usize = 5_000_000;
