//! The ways from box to box, found anew: what the checker says is not what it is tried against.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Box to box, with the words on the edge by which the way begins, and whether that leads there at once.
pub(crate) type Graph = BTreeSet<(String, String, Option<String>, bool)>;

/// What of a graph a page can say that draws these ways, of which some say something: whether there is a way, and what is
/// written on those it draws.
pub(super) fn told(graph: &Graph, drawn: &BTreeMap<(String, String), bool>) -> BTreeSet<String> {
    let one = |(from, to, label, direct): &(String, String, Option<String>, bool)| {
        let way = format!("{from} -> {to}");
        let says = match label {
            Some(label) => Some(label.as_str()),
            None => direct.then_some("(nothing)"),
        };
        let page = drawn.get(&(from.clone(), to.clone()));
        let says = says.filter(|_| page.is_some_and(|says| label.is_some() || *says));
        says.map(|says| format!("{way} {says}")).into_iter().chain([way])
    };
    graph.iter().flat_map(one).collect()
}

pub(crate) fn of(yaml: &str) -> Graph {
    let document: Value = serde_yaml::from_str(yaml).unwrap();
    let nodes = document["nodes"].as_object().unwrap();
    let edges: BTreeMap<&str, Vec<(String, Option<String>)>> =
        nodes.iter().map(|(name, node)| (name.as_str(), leaving(node))).collect();
    let flow = |name: &str| nodes.get(name).and_then(|node| node["flow"].as_str());
    let mut graph = Graph::new();
    for (name, node) in nodes {
        let Some(from) = node["flow"].as_str() else { continue };
        for (first, label) in &edges[name.as_str()] {
            let mut queue = vec![first.as_str()];
            let mut seen = BTreeSet::new();
            while let Some(at) = queue.pop() {
                if !seen.insert(at) {
                    continue;
                }
                match flow(at) {
                    Some(to) => {
                        graph.insert((from.to_owned(), to.to_owned(), label.clone(), at == first.as_str()));
                    }
                    None => queue.extend(edges.get(at).into_iter().flatten().map(|(to, _)| to.as_str())),
                }
            }
        }
    }
    graph
}

fn leaving(node: &Value) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    match &node["next"] {
        Value::String(to) => all.push((to.clone(), None)),
        Value::Object(map) => {
            for target in map.values() {
                match target {
                    Value::String(to) => all.push((to.clone(), None)),
                    to => all.push((
                        to["to"].as_str().unwrap().to_owned(),
                        to["label"].as_str().map(str::to_owned),
                    )),
                }
            }
        }
        _ => {}
    }
    all.extend(
        ["otherwise", "declined"].iter().filter_map(|key| Some((node[*key].as_str()?.to_owned(), None))),
    );
    all
}
