//! Diagnostics as text for people: what is wrong, where, what to do next.

use std::fmt::{self, Display};
use std::sync::Arc;

use engine::diagnostic::{Diagnostic, Severity, SourceFile, Span};
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// With colours.
    pub colour: bool,
    /// With box-drawing characters; otherwise ASCII alone.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
}

/// Draws diagnostics one below the other, and how many there are. Empty if there are none.
///
/// What comes from the files cannot steer the terminal: control characters are replaced.
pub fn render(diagnostics: &[Diagnostic], files: &[SourceFile], style: Style) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let handler = handler(style);
    let sources: Vec<Arc<Source>> = files.iter().map(|file| Arc::new(Source::new(file))).collect();
    let mut text = String::new();
    for diagnostic in diagnostics {
        let drawn = Drawn::new(diagnostic, &sources, style);
        // Writing into a string does not fail; a place outside of its file is shown as a line of the drawing.
        let _ = handler.render_report(&mut text, &drawn);
        text.push('\n');
    }
    if let Some(first) = files.first() {
        text.push_str(&format!("{} in {}\n", count(diagnostics), visible(&first.name)));
    }
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// `2 errors, 1 warning`.
pub fn count(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let parts = [(errors, "error"), (diagnostics.len() - errors, "warning")];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts = parts.map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }));
    let said = parts.collect::<Vec<_>>().join(", ");
    if said.is_empty() { "no errors".to_owned() } else { said }
}

fn handler(style: Style) -> GraphicalReportHandler {
    let characters = if style.unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() };
    let styles = if style.colour { ThemeStyles::ansi() } else { ThemeStyles::none() };
    GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_width(style.width)
        .with_context_lines(1)
        .with_links(false)
        .without_syntax_highlighting()
        .with_wrap_lines(true)
        .with_break_words(false)
}

/// A text without anything that could steer a terminal or hide what is written, byte for byte as long as before so
/// that places stay right.
fn visible(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { shown.extend(std::iter::repeat_n('?', c.len_utf8())) } else { shown.push(c) }
    }
    shown
}

/// A file whose lines are found without reading it from the start each time.
#[derive(Debug)]
struct Source {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    fn new(file: &SourceFile) -> Self {
        let text = visible(&file.text).replace('\r', " ");
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: visible(&file.name), text, lines }
    }

    fn line_of(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte).saturating_sub(1)
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let last = span.offset() + span.len();
        if last > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let line = self.line_of(span.offset());
        let first_line = line.saturating_sub(before);
        let last_line = self.line_of(last.saturating_sub(usize::from(!span.is_empty())));
        // Asked for no context, it is asked for the place itself: `file:line:column`.
        let (start, column) = match before {
            0 => (span.offset(), self.text[self.lines[line]..span.offset()].chars().count()),
            _ => (self.lines[first_line], 0),
        };
        let end = self.lines.get(last_line + after + 1).copied().unwrap_or(self.text.len());
        let data = &self.text.as_bytes()[start..end.max(start)];
        let covered = SourceSpan::from((start, data.len()));
        let count = last_line + after + 1 - first_line;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            data,
            covered,
            first_line,
            column,
            count,
        )))
    }
}

/// One diagnostic in miette's terms. Places in other files become notes of their own.
#[derive(Debug)]
struct Drawn {
    code: Option<&'static str>,
    severity: miette::Severity,
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: Option<Arc<Source>>,
    notes: Vec<Drawn>,
}

impl Drawn {
    fn new(diagnostic: &Diagnostic, sources: &[Arc<Source>], style: Style) -> Self {
        let words = |text: &str| if style.unicode { visible(text) } else { ascii(&visible(text)) };
        let label = |at: &Span, text: &str| {
            let text = (!text.is_empty()).then(|| words(text));
            // At least one character is underlined, and never one beyond the end.
            let end = sources.get(at.file).map_or(0, |source| source.text.len());
            let start = at.start.min(end);
            LabeledSpan::new(text, start, at.len.max(1).min(end - start))
        };
        let main = diagnostic.at.file;
        let related = |here: bool| diagnostic.related.iter().filter(move |(at, _)| (at.file == main) == here);
        let mut labels = vec![label(&diagnostic.at, &diagnostic.label)];
        labels.extend(related(true).map(|(at, text)| label(at, text)));
        let notes = related(false).map(|(at, text)| Self {
            code: None,
            severity: miette::Severity::Advice,
            message: words(text),
            help: None,
            labels: vec![label(at, "here")],
            source: sources.get(at.file).cloned(),
            notes: Vec::new(),
        });
        // A file that was refused has no text to point into.
        let source = sources.get(main).filter(|source| !source.text.is_empty()).cloned();
        Self {
            code: Some(diagnostic.code),
            severity: match diagnostic.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            },
            message: words(&diagnostic.message),
            help: diagnostic.help.as_deref().map(words),
            labels: if source.is_some() { labels } else { Vec::new() },
            notes: notes.collect(),
            source,
        }
    }
}

/// The few other characters that our own sentences use.
fn ascii(text: &str) -> String {
    text.replace('→', "->").replace('…', "...")
}

impl Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Drawn {}

impl miette::Diagnostic for Drawn {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.code.map(|code| Box::new(code) as Box<dyn Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| &**source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty())
            .then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (!self.notes.is_empty()).then(|| {
            Box::new(self.notes.iter().map(|note| note as &dyn miette::Diagnostic))
                as Box<dyn Iterator<Item = _>>
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { colour: false, unicode: false, width: 80 };

    fn found(start: usize, len: usize) -> Diagnostic {
        Diagnostic {
            code: "test::code",
            severity: Severity::Error,
            message: "something → is wrong".to_owned(),
            at: Span { file: 0, start, len },
            label: "here".to_owned(),
            related: Vec::new(),
            help: None,
        }
    }

    #[test]
    fn nothing_from_a_file_steers_the_terminal() {
        let text = "a: \u{1b}[31mred\u{202e}\u{7f}\u{9b}\r\nb: c\n".to_owned();
        let start = text.find("b: c").unwrap();
        let file = SourceFile { name: "x\u{7}.yaml".to_owned(), text };
        let mut diagnostic = found(start, 1);
        diagnostic.message = "bad \u{1b}]0;title\u{7}".to_owned();
        let drawn = render(&[diagnostic], &[file], PLAIN);
        assert!(drawn.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{drawn:?}");
        assert!(drawn.contains("x?.yaml:2:1"), "{drawn}");
    }

    #[test]
    fn places_at_the_very_end_and_in_refused_files_are_drawn() {
        for text in ["a: 1", "a: 1\n", ""] {
            let file = SourceFile { name: "x.yaml".to_owned(), text: text.to_owned() };
            let drawn = render(&[found(text.len(), 0)], &[file], PLAIN);
            assert!(drawn.contains("something -> is wrong") && !drawn.contains("OutOfBounds"), "{drawn}");
            assert!(drawn.ends_with("1 error in x.yaml\n"), "{drawn}");
        }
    }
}
