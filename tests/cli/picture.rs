//! The picture of a run in README.md: what a rehearsal shows at a terminal, cut short, as SVG with text as text.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

use super::bench::{Bench, keyboard};

const UPDATE: &str = "RUNBOOK_UPDATE_BOOK";

/// What is shown of it: from a line that begins so, up to and with the next that begins so. Only the signs before are left out.
const SHOWN: [(&str, &str); 9] = [
    ("training-oom", "A "),
    ("B  Read error", "tried"),
    ("Xid, ECC", "gpu-21: healthy"),
    ("━━ change · C", "C "),
    ("F  memory_summary", "packed"),
    ("━━ change · J", "approved"),
    ("K  Relaunch", "job 3 was"),
    ("Runs past", "job 3 is at"),
    ("RESOLVED", "Job 3 trains"),
];
const WIDTH: usize = 100;
/// Pixels of a line and a column at 13 px.
const LINE: usize = 18;
const COLUMN: f64 = 7.83;

/// Text of one look.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    class: String,
    text: String,
}

/// Everything that a terminal shows, with what was overwritten gone.
fn shown() -> Vec<Vec<Span>> {
    let bench = Bench::new();
    let (program, mut person) = keyboard();
    let same = || program.try_clone().unwrap();
    let mut command = bench.command(&["rehearse", "training-oom"]);
    command.stdin(same()).stdout(same()).stderr(same());
    let mut child = command.spawn().unwrap();
    drop((command, program));
    let mut bytes = Vec::new();
    // It ends with an error: nobody holds the other side any more.
    let _ = person.read_to_end(&mut bytes);
    assert!(child.wait().unwrap().success());
    let text = String::from_utf8(bytes).unwrap();
    let text = bench
        .redact(&text)
        .replace("[run]", "20261124-031244-k7f2")
        .replace("[account] on [host]", "ana on login-1")
        .replace("[account]", "ana");
    text.split('\n')
        .map(|line| spans(line.trim_end_matches('\r').rsplit("\u{1b}[2K").next().unwrap()))
        .collect()
}

/// The colours of a line.
fn spans(line: &str) -> Vec<Span> {
    let (mut spans, mut classes): (Vec<Span>, Vec<&str>) = (Vec::new(), Vec::new());
    for (number, part) in line.split('\u{1b}').enumerate() {
        let text = match part.strip_prefix('[').and_then(|code| code.split_once('m')).filter(|_| number > 0) {
            Some((code, text)) => {
                match code {
                    "0" => classes.clear(),
                    "1" => classes.push("b"),
                    "2" => classes.push("d"),
                    "31" => classes.push("r"),
                    "32" => classes.push("g"),
                    "33" => classes.push("y"),
                    "36" => classes.push("c"),
                    other => panic!("a colour that the picture does not know: {other}"),
                }
                text
            }
            None => part,
        };
        if !text.is_empty() {
            spans.push(Span { class: classes.join(" "), text: text.to_owned() });
        }
    }
    spans
}

fn plain(line: &[Span]) -> String {
    line.iter().map(|span| span.text.as_str()).collect()
}

/// The lines that are shown, `None` where some are left out.
fn excerpt(lines: &[Vec<Span>]) -> Vec<Option<&Vec<Span>>> {
    let begins = |line: &[Span], words: &str| {
        let line = plain(line);
        line.trim_start_matches(['✓', '●', '·', ' ']).starts_with(words)
    };
    let (mut picture, mut at) = (Vec::new(), 0);
    for (first, last) in SHOWN {
        let find = |from: usize, words: &str| {
            let found = lines[from..].iter().position(|line| begins(line, words));
            from + found.unwrap_or_else(|| panic!("the rehearsal does not show `{words}` any more"))
        };
        let (begin, end) = (find(at, first), find(find(at, first), last));
        if begin > at {
            picture.push(None);
        }
        picture.extend(lines[begin..=end].iter().map(Some));
        at = end + 1;
    }
    picture
}

fn svg(picture: &[Option<&Vec<Span>>]) -> String {
    let (margin, width) = (16, (WIDTH as f64 * COLUMN) as usize + 32);
    let height = picture.len() * LINE + 2 * margin;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <title>runbook rehearse training-oom</title>\n\
         <style>text{{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d6dbe3;white-space:pre}}\
         .b{{font-weight:700}}.d{{fill:#8b949e}}.r{{fill:#ff7b72}}.g{{fill:#56d364}}.y{{fill:#e3b341}}.c{{fill:#79c0ff}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (number, line) in picture.iter().enumerate() {
        let y = margin + number * LINE + 13;
        let _ = write!(svg, "<text x=\"{margin}\" y=\"{y}\" xml:space=\"preserve\">");
        let Some(line) = line else {
            svg.push_str("<tspan class=\"d\">     ⋮</tspan></text>\n");
            continue;
        };
        for Span { class, text } in *line {
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            match class.as_str() {
                "" => svg.push_str(&text),
                class => svg.push_str(&format!("<tspan class=\"{class}\">{text}</tspan>")),
            }
        }
        svg.push_str("</text>\n");
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_in_the_readme_is_what_a_rehearsal_shows() {
    let lines = shown();
    let picture = excerpt(&lines);
    let widest = picture.iter().flatten().map(|line| plain(line).chars().count()).max().unwrap();
    assert!(widest <= WIDTH, "a line of {widest} columns");
    let made = svg(&picture);
    assert!(made.len() < 100_000);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rehearsal.svg");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/rehearsal.svg is out of date: {UPDATE}=1 cargo test --test main cli::picture"
    );
}
