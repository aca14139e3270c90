//! What taking the changes of a run back would do.

use engine::run::Change;
use engine::walk::Undoable;

use super::card::{self, Detail};
use super::clean::line;
use super::reporter::Reporter;
use super::screen::Screen;
use super::wrap::labelled;

/// What would be done to take changes back, newest first, up to the first that cannot be.
pub(crate) fn undoable(screen: &Screen, reporter: &Reporter, shown: &[(Change, Undoable)]) -> Vec<String> {
    let (paint, glyphs) = (screen.paint, screen.glyphs);
    let mut lines = vec![paint.warn("It looks, and changes nothing.")];
    for (at, (change, undoable)) in shown.iter().enumerate() {
        lines.push(String::new());
        let title = line(&reporter.place(&change.node).title);
        lines.push(format!("{}. {}", at + 1, paint.bold(&format!("Take back: {title}"))));
        let (sign, label, why) = match undoable {
            Undoable::Would(item) => {
                lines.extend(card::item(screen, item, Detail::Whole));
                continue;
            }
            Undoable::Nothing(why) => (paint.good(glyphs.done), "nothing", why),
            Undoable::Cannot(why) => (paint.bad(glyphs.failed), "cannot", why),
            Undoable::Broken(error) => (paint.bad(glyphs.failed), "broke", &error.message),
        };
        let mut said = labelled(label, &line(why), 3, screen.width());
        if let Some(first) = said.first_mut() {
            *first = format!(" {sign} {}", first.trim_start());
        }
        lines.extend(said);
    }
    if let Some((_, Undoable::Cannot(_) | Undoable::Broken(_))) = shown.last() {
        lines.push(String::new());
        lines.push(paint.warn("It would stop there; what was done before is not looked at."));
    }
    lines
}
