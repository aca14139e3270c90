//! Every single edit.

use engine::page::{Block, Flow, blocks, commands, flow};
use serde_json::{Value, json};

use super::Pair;

pub(super) struct Mutant {
    pub(super) what: String,
    pub(super) pair: Pair,
    /// It alters edges of the graph alone, of which some lie between nodes that the page does not know.
    pub(super) of_graph: bool,
}

pub(super) fn all(pair: &Pair) -> Vec<Mutant> {
    let mut all = of_flow(pair);
    all.extend(of_commands(pair));
    all.extend(of_yaml(pair));
    all
}

/// The page with this in place of a block's text.
fn with(page: &str, block: &Block, text: &str) -> String {
    let fence = &page[block.at.clone()];
    let indent = " ".repeat(block.at.start - page[..block.at.start].rfind('\n').map_or(0, |at| at + 1));
    let body: String = text.lines().map(|line| format!("{indent}{line}\n")).collect();
    let first = fence.lines().next().unwrap();
    format!("{}{first}\n{body}{indent}```{}", &page[..block.at.start], &page[block.at.end..])
}

fn mermaid(flow: &Flow) -> String {
    let mut text = "flowchart TB\n".to_owned();
    for one in &flow.boxes {
        text += &format!("{}[\"{}\"]\n", one.id, one.title);
    }
    for arrow in &flow.arrows {
        let label = arrow.label.as_ref().map(|label| format!("|\"{label}\"|")).unwrap_or_default();
        text += &format!("{} -->{label} {}\n", arrow.from, arrow.to);
    }
    text
}

/// Boxes and arrows of the page: deleted, renamed, retitled, retargeted, relabelled, added.
fn of_flow(pair: &Pair) -> Vec<Mutant> {
    let all = blocks(&pair.page);
    let block = all.iter().find(|block| block.language == "mermaid").unwrap();
    let drawn = flow(&block.text).unwrap();
    let mut mutants = Vec::new();
    let mut add = |what: String, flow: &Flow| {
        let page = with(&pair.page, block, &mermaid(flow));
        mutants.push(Mutant { what, pair: Pair { page, ..pair.clone() }, of_graph: false });
    };
    let ids: Vec<String> = drawn.boxes.iter().map(|one| one.id.clone()).collect();
    for (at, id) in ids.iter().enumerate() {
        let mut deleted = drawn.clone();
        deleted.boxes.remove(at);
        deleted.arrows.retain(|arrow| arrow.from != *id && arrow.to != *id);
        add(format!("deleting box {id}"), &deleted);
        let mut renamed = drawn.clone();
        renamed.boxes[at].id = "Q".to_owned();
        for arrow in &mut renamed.arrows {
            for end in [&mut arrow.from, &mut arrow.to] {
                if end == id {
                    *end = "Q".to_owned();
                }
            }
        }
        add(format!("renaming box {id}"), &renamed);
        for word in 0..drawn.boxes[at].title.split(' ').count() {
            let mut retitled = drawn.clone();
            retitled.boxes[at].title = changed(&drawn.boxes[at].title, word);
            add(format!("word {word} of box {id}"), &retitled);
        }
        for to in &ids {
            let mut added = drawn.clone();
            if added.arrows.iter().all(|arrow| (&arrow.from, &arrow.to) != (id, to)) {
                let arrow =
                    engine::page::FlowArrow { from: id.clone(), to: to.clone(), label: None, at: 0..0 };
                added.arrows.push(arrow);
                // A way that is on purpose in the graph alone is no difference any more, which is reported as well.
                add(format!("adding {id} -> {to}"), &added);
            }
        }
    }
    let mut more = drawn.clone();
    more.boxes.push(engine::page::FlowBox { id: "Q".to_owned(), title: "More".to_owned(), at: 0..0 });
    add("adding a box".to_owned(), &more);
    for at in 0..drawn.arrows.len() {
        let arrow = &drawn.arrows[at];
        let name = format!("{} -> {}", arrow.from, arrow.to);
        let mut edit = |what: &str, change: &dyn Fn(&mut engine::page::FlowArrow)| {
            let mut edited = drawn.clone();
            change(&mut edited.arrows[at]);
            add(format!("{what} {name}"), &edited);
        };
        for id in &ids {
            if *id != arrow.to {
                edit(&format!("to {id} instead of"), &|arrow| arrow.to.clone_from(id));
            }
            if *id != arrow.from {
                edit(&format!("from {id} instead of"), &|arrow| arrow.from.clone_from(id));
            }
        }
        edit("turning", &|arrow| std::mem::swap(&mut arrow.from, &mut arrow.to));
        edit("another label on", &|arrow| arrow.label = Some("otherwise".to_owned()));
        if let Some(label) = &arrow.label {
            edit("no label on", &|arrow| arrow.label = None);
            for word in 0..label.split(' ').count() {
                edit("a word of the label on", &|arrow| arrow.label = Some(changed(label, word)));
            }
        }
        let mut deleted = drawn.clone();
        deleted.arrows.remove(at);
        add(format!("deleting {name}"), &deleted);
    }
    mutants
}

/// Commands of the page: deleted, added, every word changed.
fn of_commands(pair: &Pair) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for block in blocks(&pair.page).iter().filter(|block| block.is_shell()) {
        let mut add = |what: String, text: &str| {
            let page = with(&pair.page, block, text);
            mutants.push(Mutant { what, pair: Pair { page, ..pair.clone() }, of_graph: false });
        };
        for (command, at) in commands(&block.text) {
            let edit = |new: &str| format!("{}{new}{}", &block.text[..at.start], &block.text[at.end..]);
            add(format!("deleting {command}"), &edit(""));
            add(format!("twice with more: {command}"), &edit(&format!("{command}\n{command} --more")));
            for word in 0..command.split(' ').count() {
                let new = changed(&command, word);
                add(format!("{command} as {new}"), &edit(&new));
            }
        }
    }
    mutants
}

/// A text with one word changed.
fn changed(text: &str, word: usize) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    words[word] = format!("z{}", words[word]);
    words.join(" ")
}

/// What the runbook says of its page: boxes, titles, edges, labels, commands, differences on purpose.
fn of_yaml(pair: &Pair) -> Vec<Mutant> {
    let document: Value = serde_yaml::from_str(&pair.yaml).unwrap();
    let mut mutants = Vec::new();
    let mut add = |what: String, of_graph: bool, edited: &Value| {
        // JSON is YAML.
        let yaml = serde_json::to_string_pretty(edited).unwrap();
        mutants.push(Mutant { what, pair: Pair { yaml, ..pair.clone() }, of_graph });
    };
    let nodes = document["nodes"].as_object().unwrap();
    let boxed: Vec<(&String, &str)> =
        nodes.iter().filter_map(|(name, node)| Some((name, node["flow"].as_str()?))).collect();
    for (name, flow) in &boxed {
        let mut edit = |what: String, change: &dyn Fn(&mut Value)| {
            let mut edited = document.clone();
            change(&mut edited["nodes"][name.as_str()]);
            add(what, false, &edited);
        };
        edit(format!("{name} is no box"), &|node| drop(node.as_object_mut().unwrap().remove("flow")));
        for (_, other) in boxed.iter().filter(|(_, other)| other != flow) {
            edit(format!("{name} is box {other}"), &|node| node["flow"] = json!(other));
        }
        let title = nodes[*name]["title"].as_str().unwrap();
        for word in 0..title.split(' ').count() {
            edit(format!("word {word} of {name}"), &|node| node["title"] = json!(changed(title, word)));
        }
        edit(format!("{name} without a title"), &|node| drop(node.as_object_mut().unwrap().remove("title")));
        if let Some(run) = nodes[*name]["with"]["run"].as_str() {
            for word in 0..run.split(' ').count() {
                edit(format!("word {word} of the command of {name}"), &|node| {
                    node["with"]["run"] = json!(changed(run, word));
                });
            }
        }
        for word in 0..nodes[*name]["with"]["argv"].as_array().map_or(0, Vec::len) {
            edit(format!("word {word} of the program of {name}"), &|node| {
                let old = node["with"]["argv"][word].as_str().unwrap().to_owned();
                node["with"]["argv"][word] = json!(format!("z{old}"));
            });
        }
        for (outcome, target) in nodes[*name]["next"].as_object().into_iter().flatten() {
            if let Some(label) = target["label"].as_str() {
                edit(format!("no label on {outcome} of {name}"), &|node| {
                    node["next"][outcome] = target["to"].clone();
                });
                for word in 0..label.split(' ').count() {
                    edit(format!("label on {outcome} of {name}"), &|node| {
                        node["next"][outcome]["label"] = json!(changed(label, word));
                    });
                }
            }
        }
    }
    for (name, node) in nodes {
        let mut deleted = document.clone();
        drop(deleted["nodes"].as_object_mut().unwrap().remove(name));
        add(format!("deleting node {name}"), false, &deleted);
        let of_box = node["flow"].is_string();
        for (outcome, target) in node["next"].as_object().into_iter().flatten() {
            let old = target.as_str().or(target["to"].as_str()).unwrap();
            // From a box to every box; elsewhere to the first and the last one.
            let targets =
                boxed.iter().enumerate().filter(|(at, _)| of_box || *at == 0 || at + 1 == boxed.len());
            for (_, (to, _)) in targets.filter(|(_, (to, _))| *to != old) {
                let mut edited = document.clone();
                let edge = &mut edited["nodes"][name]["next"][outcome];
                if edge.is_string() {
                    *edge = json!(to);
                } else {
                    edge["to"] = json!(to);
                }
                add(format!("{name}.{outcome} leads to {to}"), true, &edited);
            }
        }
    }
    let differs = document["differs"].as_array().map_or(0, Vec::len);
    for at in 0..differs {
        let mut deleted = document.clone();
        deleted["differs"].as_array_mut().unwrap().remove(at);
        add(format!("difference {at} deleted"), false, &deleted);
        for key in ["way", "arrow", "box", "title", "command"] {
            if let Some(text) = document["differs"][at][key].as_str() {
                let mut edited = document.clone();
                edited["differs"][at][key] = json!(format!("z{text}"));
                add(format!("difference {at} edited"), false, &edited);
            }
        }
    }
    mutants
}
