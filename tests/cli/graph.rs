//! Runbooks as pictures.

use super::bench::Bench;
use super::slurm::bench;

/// Every kind of box and arrow, and words that mean something to Mermaid, HTML or dot.
const HOSTILE: &str = r##"
runbook: hostile
title: "\"quoted\" \\ title"
start: end
nodes:
  end:
    title: "say \"hi\" <script>x</script> & #35; `md` $$y$$ --> B\\n] %% no"
    flow: A
    step: decide
    with: { graph: true, or: true }
    next: { graph: { to: graph, label: "a|b \"c\"" }, or: style, unknown: graph }
  graph:
    step: shell
    with: { run: "rm x" }
    approve: never
    declined: style
    on_failure: style
    next: { ok: inner, nonzero: inner }
  inner:
    step: runbook
    with: { runbook: small }
    next: { resolved: style, escalated: style }
  style: { end: no_action }
"##;

const SMALL: &str = "
runbook: small
title: Small
start: look
nodes:
  look: { title: Look, step: shell, with: { run: uptime }, approve: true, next: { ok: end, nonzero: hand } }
  end: { end: resolved }
  hand: { end: escalated, message: x }
";

fn hostile() -> Bench {
    let bench = Bench::new();
    bench.write("runbooks/hostile/runbook.yaml", HOSTILE);
    bench.write("runbooks/small/runbook.yaml", SMALL);
    bench
}

#[test]
fn every_notation_tells_effects_gates_and_ends_apart() {
    let bench = hostile();
    let drawn = |format: &str| bench.run(&["graph", "hostile", "--format", format]).exits(0).out;
    insta::assert_snapshot!("mermaid", drawn("mermaid"));
    insta::assert_snapshot!("dot", drawn("dot"));
    insta::assert_snapshot!("text", drawn("text"));
}

#[test]
fn an_svg_shows_every_word_and_runs_nothing() {
    let bench = hostile();
    bench.run(&["graph", "hostile", "-o", "graph.svg"]).exits(0);
    let svg = bench.read("graph.svg");
    for word in [
        "say &quot;hi&quot;",
        "&lt;script&gt;",
        "#35;",
        "`md`",
        "$\u{2060}$y",
        "asks",
        "changes for",
        "escalated",
    ] {
        let word = word.replace("&quot;", "\"");
        assert!(svg.contains(&word), "{word}");
    }
    for door in ["<script", "foreignObject", "href=\"http", "url(http", "@import"] {
        assert!(!svg.contains(door), "{door}");
    }
}

#[test]
fn the_list_fits_a_terminal() {
    let bench = Bench::new();
    let said = bench.run(&["graph", "training-oom"]).exits(0).out;
    assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");
    assert!(said.contains("hardware · decide") && said.contains("healthy \"no\" → classify"), "{said}");
}

#[test]
fn the_way_of_a_run_is_shown_on_its_own_plan() {
    let bench = bench();
    bench.run(&["run", "stop", "--job", "1", "--yes"]).exits(0);
    let run = bench.only_run();
    bench.write("runbooks/stop/runbook.yaml", "runbook: stop\n");
    let drawn = |format: &str| bench.run(&["graph", "--run", &run, "--format", format]).exits(0).out;
    insta::assert_snapshot!("way", drawn("mermaid"));
    insta::assert_snapshot!("way_text", drawn("text"));
    bench.run(&["graph", "training-oom", "--run", &run]).exits(2);
}

/// The converter is a stand-in: what it is given matters, and what becomes of its answer.
#[test]
fn a_png_is_what_an_installed_converter_makes_of_the_svg() {
    let bench = hostile();
    let converter =
        |ends: &str| bench.program("rsvg-convert", &format!("#!/bin/sh\ncat >given.svg\n{ends}\n"));
    converter("printf '\\211PNG\\r\\n'");
    bench.run(&["graph", "hostile", "-o", "graph.png"]).exits(0);
    assert_eq!(std::fs::read(bench.path("graph.png")).unwrap(), b"\x89PNG\r\n");
    let svg = bench.run(&["graph", "hostile", "--format", "svg"]).exits(0).out;
    assert_eq!(bench.read("given.svg"), svg);
    assert!(bench.run(&["graph", "hostile", "--format", "png"]).exits(2).err.contains("-o graph.png"));
    converter("echo 'too large' >&2; exit 1");
    let no = bench.run(&["graph", "hostile", "-o", "other.png"]).exits(2);
    assert!(no.err.contains("rsvg-convert could not convert the picture: too large"), "{}", no.err);
    assert!(!bench.path("other.png").exists());
    let nowhere =
        bench.command(&["graph", "hostile", "-o", "other.png"]).env("PATH", bench.path("bin/none")).output();
    let said = String::from_utf8_lossy(&nowhere.unwrap().stderr).into_owned();
    assert!(said.contains("a PNG needs one of rsvg-convert") && said.contains("librsvg2-bin"), "{said}");
}

/// What a command does is known before its values are: each of them will be quoted.
#[test]
fn a_command_with_templates_that_only_reads_is_drawn_as_one() {
    let bench = Bench::new();
    bench.write(
        "runbooks/x/runbook.yaml",
        "runbook: x\ntitle: x\ninputs: { dir: { type: path } }\nstart: look\nnodes:\n  \
         look: { step: shell, with: { run: \"du -x {{ inputs.dir }}\" }, next: { ok: raw, nonzero: raw } }\n  \
         raw: { step: shell, with: { run: \"du {{ inputs.dir | shell_raw }}\" }, next: { ok: end, nonzero: end } }\n  \
         end: { end: resolved, message: x }\n",
    );
    let drawn = bench.run(&["graph", "x"]).exits(0).out;
    assert!(drawn.contains("look · shell\n") && drawn.contains("raw · shell, asks first\n"), "{drawn}");
}
