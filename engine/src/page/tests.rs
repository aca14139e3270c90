//! Flowcharts with the syntax that is met in real pages. What they mean was compared with Mermaid's own parser.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Block, blocks, flow, flowchart};

fn fixtures(under: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/fixtures").join(under);
    let mut files: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "mmd"));
    files.sort();
    files
}

/// A flow as text, each line with what is written at the place of what it tells.
fn told(text: &str) -> String {
    let flow = flow(text).unwrap_or_else(|error| panic!("{error} at {:?}", error.at));
    let at = |place: &std::ops::Range<usize>| text[place.clone()].replace('\n', "↵").replace('\r', "");
    let mut lines = Vec::new();
    for one in &flow.boxes {
        lines.push(format!("{} | {}    @ {}", one.id, one.title, at(&one.at)));
    }
    for arrow in &flow.arrows {
        let label = arrow.label.as_deref().map(|label| format!(" | {label}")).unwrap_or_default();
        lines.push(format!("{} -> {}{label}    @ {}", arrow.from, arrow.to, at(&arrow.at)));
    }
    for group in &flow.groups {
        lines.push(format!("({}) | {} : {}", group.id, group.title, group.members.join(" ")));
    }
    lines.join("\n") + "\n"
}

#[test]
fn every_fixture_parses_to_the_expected_graph() {
    let files = fixtures("");
    assert!(files.len() >= 30);
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let told = told(&text);
        let expected = path.with_extension("flow");
        if std::env::var_os("UPDATE_FLOWS").is_some() {
            fs::write(&expected, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn what_mermaid_refuses_is_refused_with_a_place() {
    let files = fixtures("refused");
    assert!(files.len() >= 5);
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let error = flow(&text).unwrap_err();
        assert!(!error.message.is_empty() && text.get(error.at.clone()).is_some(), "{error:?}");
    }
    assert!(flow("sequenceDiagram\n A->>B: x\n").is_err());
    assert!(flow("").is_err() && flow("just words").is_err());
}

#[test]
fn blocks_know_their_place_also_in_an_indented_fence() {
    let page = "# Top\n\n1. item\n\n   ```mermaid\n   flowchart TD\n     A[\"größe\"] --> B\n   ```\n\n## Next `one`\n\n~~~Bash title=x\nls\n~~~\n\n    not fenced\n";
    let found = blocks(page);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].text, "flowchart TD\n  A[\"größe\"] --> B\n");
    let flow = flow(&found[0].text).unwrap();
    assert_eq!(&page[found[0].place(&flow.boxes[0].at)], "A[\"größe\"]");
    assert_eq!(&page[found[0].place(&flow.arrows[0].at)], "A[\"größe\"] --> B");
    assert_eq!((found[1].language.as_str(), found[1].before.as_str()), ("bash", "Next one"));
    assert!(found[1].is_shell() && page[found[1].at.clone()].starts_with("~~~Bash"));
}

#[test]
fn blocks_are_known_however_they_are_fenced() {
    for page in [
        "::: mermaid\ngraph TD\n  A --> B\n:::\n",
        "- x\n\n  :::Mermaid\n  graph TD\n    A --> B\n  :::\n",
        "```{mermaid}\n%%| label: x\ngraph TD\n  A --> B\n```\n",
        "``` {.mermaid #x}\ngraph TD\n  A --> B\n```\n",
        "> ~~~mermaid\n> graph TD\n>   A --> B\n> ~~~\n",
    ] {
        let found = blocks(page);
        let flow = flow(&flowchart(&found).unwrap_or_else(|| panic!("{page}")).text).unwrap();
        assert_eq!(&page[found[0].place(&flow.arrows[0].at)], "A --> B", "{page}");
    }
    let others = blocks(":::note\nx\n:::\n\n::: mermaid\n\n```sh\nls\n```\n");
    assert!(others.len() == 1 && others[0].is_shell(), "{others:?}");
}

#[test]
fn the_flow_of_a_page_is_its_first_flowchart() {
    let page =
        |text: &str| format!("```mermaid\nsequenceDiagram\n  graph->>A: x\n```\n\n```mermaid\n{text}\n```\n");
    for text in [
        "flowchart TD\nA",
        "graph\nA",
        "%% x\n\n  graph TD;A",
        "---\ntitle: pie\n---\n%%{init: {\n}}%%\ngraph TD\nA",
        "%%{init: {}}%% graph TD\nA",
    ] {
        let all = blocks(&page(text));
        assert_eq!(flowchart(&all).map(|block| block.text.trim()), Some(text));
        flow(text).unwrap();
    }
    for text in ["pie\n graph: 1", "---\ngraph: x\n---\npie", "%% graph", "---\ngraph TD"] {
        assert_eq!(flowchart(&blocks(&page(text))), None, "{text}");
    }
}

#[test]
fn an_error_without_a_place_is_told_with_its_line() {
    for line in [
        "A[f(x)] --> B",
        "A[\"say \\\"x\\\"\"] --> B",
        "A@{ shape: nosuch } --> B",
        "A@{ shape: rect label: x } --> B",
        "linkStyle 7 stroke:red",
        "click",
    ] {
        let text =
            format!("flowchart TD\n  X/a --> Y\n  subgraph s\n    {line}\n    C --> D\n  end\n  E --> F\n");
        let error = flow(&text).unwrap_err();
        assert!(!error.at.is_empty() && line.starts_with(&text[error.at.clone()]), "{line}: {error:?}");
    }
    assert_eq!(flow("Flowchart TD\n A").unwrap_err().message, flow("pie").unwrap_err().message);
}

#[test]
fn the_error_told_is_the_one_that_cannot_be_mended() {
    let text = "flowchart TD\n  a/b --> c?\n  d! --> end\n";
    let error = flow(text).unwrap_err();
    assert_eq!(&text[error.at], "end");
}

#[test]
fn an_arrow_to_a_group_leads_to_its_first_boxes() {
    let flow = flow("flowchart TD\nA --> g\nsubgraph g\nB --> C\nB --> D\nend\ng --> E\n").unwrap();
    let all: Vec<String> =
        flow.between_boxes().iter().map(|arrow| format!("{}{}", arrow.from, arrow.to)).collect();
    assert_eq!(all, ["AB", "BC", "BD", "CE", "DE"]);
    assert_eq!(Block::whole("mermaid", "x").place(&(0..1)), 0..1);
}
