//! Columns for people.

use console::measure_text_width;

use super::screen::Paint;

/// Lines of a table: a dimmed head and rows, columns as wide as needed, the last one open.
pub(crate) fn table(paint: Paint, head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| measure_text_width(cell));
            cells.chain([name.len()]).max().unwrap_or(0)
        })
        .collect();
    let lay = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| {
                format!("{cell}{}", " ".repeat(width.saturating_sub(measure_text_width(cell))))
            })
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![paint.dim(&lay(&mut head.iter().copied()))];
    lines.extend(rows.iter().map(|row| lay(&mut row.iter().map(String::as_str))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows =
            vec![vec!["a".into(), "long cell".into(), "x".into()], vec!["bb".into(), "é".into(), "y".into()]];
        assert_eq!(
            table(Paint::NONE, &["run", "b", "c"], &rows),
            ["run  b          c", "a    long cell  x", "bb   é          y"]
        );
    }
}
