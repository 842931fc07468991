//! Index of the rules by host and path. Each host has a tree of path segments, so the time of a lookup does not depend on
//! the number of rules.

use super::host::{HostPattern, NormalHost, PortPattern, parents};
use super::path::NormalPath;
use super::rule::{PathPattern, Segment};
use crate::table::Table;
use smallvec::SmallVec;
use std::collections::HashMap;

/// Indexes of rules, in order. A request rarely matches more than a few.
pub(super) type Numbers = SmallVec<[usize; 4]>;

/// Which rules cover a host and a path.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    anywhere: Node,
    exact: Table<Ports>,
    below: Table<Ports>,
}

/// The trees of one host, by the ports that requests name.
#[derive(Debug, Default)]
struct Ports {
    absent: Node,
    numbered: HashMap<u16, Node, foldhash::fast::FixedState>,
    any: Node,
}

/// One segment of a path in the tree of all patterns.
#[derive(Debug, Default)]
struct Node {
    literal: Table<Node>,
    any: Option<Box<Node>>,
    /// Rules whose pattern ends here, in order.
    here: Vec<usize>,
    /// Rules whose pattern is everything below, in order.
    below: Vec<usize>,
}

// === impl RuleIndex ===

impl RuleIndex {
    /// Adds a rule under one of its hosts (`None`: any) and one of its paths.
    pub(super) fn insert(&mut self, host: Option<&HostPattern>, path: &PathPattern, rule: usize) {
        let tree = match host {
            None => &mut self.anywhere,
            Some(host) => {
                let hosts = if host.below { &mut self.below } else { &mut self.exact };
                hosts.entry(host.name.as_bytes().into()).or_default().tree(host.port)
            }
        };
        tree.insert(path, rule);
    }

    /// The rules that cover a host (`None` if no rule uses hosts) and a path, in order.
    pub(super) fn find(&self, host: Option<&NormalHost>, path: &NormalPath<'_>) -> Numbers {
        let segments = path.below_root();
        let mut found = Numbers::new();
        let mut see = |rules: &[usize]| rules.iter().for_each(|rule| found.push(*rule));
        self.anywhere.visit(segments, &mut see);
        if let Some(host) = host {
            let parents = (!self.below.is_empty()).then(|| parents(host.name()));
            let below = parents.into_iter().flatten().filter_map(|parent| self.below.get(parent));
            for ports in self.exact.get(host.name()).into_iter().chain(below) {
                ports.any.visit(segments, &mut see);
                if let Some(tree) = ports.named(host.port()) {
                    tree.visit(segments, &mut see);
                }
            }
        }
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    /// The rules that cover whatever a host pattern and a path pattern cover.
    pub(super) fn find_covering(
        &self,
        host: Option<&HostPattern>,
        path: &PathPattern,
    ) -> Vec<usize> {
        let mut found = Vec::new();
        let mut see = |rules: &[usize]| found.extend_from_slice(rules);
        self.anywhere.visit_covering(&path.segments, path.below, &mut see);
        let Some(host) = host else { return found };
        let same = if host.below { &self.below } else { &self.exact };
        let below = parents(host.name.as_bytes()).filter_map(|parent| self.below.get(parent));
        for ports in same.get(host.name.as_bytes()).into_iter().chain(below) {
            ports.any.visit_covering(&path.segments, path.below, &mut see);
            let tree = match host.port {
                PortPattern::Absent => ports.named(None),
                PortPattern::Number(port) => ports.named(Some(port)),
                PortPattern::Any => None,
            };
            if let Some(tree) = tree {
                tree.visit_covering(&path.segments, path.below, &mut see);
            }
        }
        found
    }
}

// === impl Ports ===

impl Ports {
    fn tree(&mut self, port: PortPattern) -> &mut Node {
        match port {
            PortPattern::Absent => &mut self.absent,
            PortPattern::Number(port) => self.numbered.entry(port).or_default(),
            PortPattern::Any => &mut self.any,
        }
    }

    /// The tree of the rules that name exactly this port, or no port.
    fn named(&self, port: Option<u16>) -> Option<&Node> {
        port.map_or(Some(&self.absent), |port| self.numbered.get(&port))
    }
}

// === impl Node ===

impl Node {
    fn insert(&mut self, pattern: &PathPattern, rule: usize) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(word) => node.literal.entry(word.as_bytes().into()).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
            };
        }
        if pattern.below { node.below.push(rule) } else { node.here.push(rule) }
    }

    /// Shows `see` the rules of every pattern that matches `segments`, which have slashes between them;
    /// `None` when there are no more.
    fn visit(&self, segments: Option<&[u8]>, see: &mut impl FnMut(&[usize])) {
        let Some(segments) = segments else { return see(&self.here) };
        let slash = segments.iter().position(|byte| *byte == b'/');
        let (segment, rest) = match slash.and_then(|at| segments.split_at_checked(at)) {
            Some((segment, rest)) => (segment, rest.get(1..)),
            None => (segments, None),
        };
        see(&self.below);
        if let Some(node) = self.literal.get(segment) {
            node.visit(rest, see);
        }
        if let Some(node) = &self.any
            && !segment.is_empty()
        {
            node.visit(rest, see);
        }
    }

    /// Shows `see` the rules of every pattern that matches all that another pattern matches.
    fn visit_covering(&self, segments: &[Segment], below: bool, see: &mut impl FnMut(&[usize])) {
        let Some((segment, rest)) = segments.split_first() else {
            return see(if below { &self.below } else { &self.here });
        };
        see(&self.below);
        if let Segment::Literal(word) = segment
            && let Some(node) = self.literal.get(word.as_bytes())
        {
            node.visit_covering(rest, below, see);
        }
        if let Some(node) = &self.any
            && *segment != Segment::Literal(String::new())
        {
            node.visit_covering(rest, below, see);
        }
    }
}
