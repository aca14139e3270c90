//! Results for build servers, in the form that JUnit's Ant task writes and all of them read.

use std::fmt::Write;

use crate::markup;

use super::suite::{Suite, Verdict};

/// The results of several runbooks.
pub(crate) fn junit(suites: &[Suite]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for suite in suites {
        // Writing into a text does not fail.
        let _ = one(&mut xml, suite);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn one(xml: &mut String, suite: &Suite) -> std::fmt::Result {
    let broken = |verdict: &Verdict| matches!(verdict, Verdict::Broke(_) | Verdict::Wrong(..));
    let errors = suite.tried.iter().filter(|tried| broken(&tried.verdict)).count();
    let seconds: f64 = suite.tried.iter().map(|tried| tried.took.as_secs_f64()).sum();
    let name = escaped(&suite.runbook);
    writeln!(
        xml,
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\" time=\"{seconds:.3}\">",
        suite.tried.len(),
        suite.failed() - errors,
    )?;
    for tried in &suite.tried {
        let (file, case) = (escaped(&tried.path.display().to_string()), escaped(&tried.name));
        let took = tried.took.as_secs_f64();
        write!(xml, "    <testcase classname=\"{name}\" name=\"{case}\" file=\"{file}\" time=\"{took:.3}\"")?;
        let lines = tried.verdict.lines();
        let Some(first) = lines.first() else {
            writeln!(xml, "/>")?;
            continue;
        };
        let tag = if broken(&tried.verdict) { "error" } else { "failure" };
        writeln!(xml, ">")?;
        writeln!(xml, "      <{tag} message=\"{}\">{}</{tag}>", escaped(first), escaped(&lines.join("\n")))?;
        writeln!(xml, "    </testcase>")?;
    }
    writeln!(xml, "  </testsuite>")
}

/// Text whose line breaks stay where an attribute would lose them.
fn escaped(text: &str) -> String {
    markup::escaped(text).replace('\r', "&#13;").replace('\n', "&#10;").replace('\t', "&#9;")
}
