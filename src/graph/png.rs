//! A chart as PNG: the SVG, converted by a program of the machine. One of our own would need a font engine and fonts.

use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};

use engine::chart::Chart;

use super::svg;
use crate::error::CliError;

/// What converts an SVG that it reads into a PNG that it writes; the first that is installed is taken.
const CONVERTERS: [&[&str]; 4] = [
    &["rsvg-convert", "--format=png"],
    &["resvg", "-", "-c"],
    &["inkscape", "--pipe", "--export-type=png", "--export-filename=-"],
    &["magick", "svg:-", "png:-"],
];

/// The chart as PNG.
///
/// # Errors
/// If it is too large to be drawn, or if no converter is installed or the one that is fails.
pub(crate) fn png(chart: &Chart) -> Result<Vec<u8>, CliError> {
    let drawn = svg(chart, "runbook")?;
    for argv in CONVERTERS {
        match convert(argv, drawn.as_bytes()) {
            Ok(output) if output.status.success() && output.stdout.starts_with(b"\x89PNG") => {
                return Ok(output.stdout);
            }
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let said: String =
                    said.lines().next().unwrap_or("it wrote no PNG").chars().take(200).collect();
                return Err(CliError::usage(
                    format!("{} could not convert the picture: {said}", argv[0]),
                    "draw an SVG: `-o graph.svg`",
                ));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(CliError::usage(format!("{}: {error}", argv[0]), "draw an SVG: `-o graph.svg`"));
            }
        }
    }
    let names: Vec<&str> = CONVERTERS.iter().map(|argv| argv[0]).collect();
    Err(CliError::usage(
        format!("a PNG needs one of {} to convert it, and none is installed", names.join(", ")),
        "install one (Debian: librsvg2-bin), or draw an SVG, which browsers show: `-o graph.svg`",
    ))
}

fn convert(argv: &[&str], svg: &[u8]) -> std::io::Result<Output> {
    let mut child = Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // One that reads no more has said why.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(svg)));
        child.wait_with_output()
    })
}
