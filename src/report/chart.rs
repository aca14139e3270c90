//! GPU memory before and after as a small picture. What nobody told is drawn as such, and never as nothing.

use std::fmt::Write;

use super::escape::html;
use super::facts::bytes;
use super::model::Memory;

/// Width of the picture, and of a bar in it.
const WIDTH: f64 = 720.0;
/// Height of one bar with what stands around it.
const ROW: f64 = 58.0;
/// Height of a bar.
const BAR: f64 = 22.0;

/// A part of a bar: its class, what it is, and how much.
struct Part {
    class: &'static str,
    what: &'static str,
    size: u64,
}

/// The parts of a bar from the left.
fn parts(memory: &Memory) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut drawn = 0u64;
    let mut add = |class, what, size: Option<u64>| {
        if let Some(size) = size.filter(|size| *size > 0) {
            drawn = drawn.saturating_add(size);
            parts.push(Part { class, what, size });
        }
        drawn
    };
    let drawn = match (memory.allocated, memory.reserved_unallocated) {
        (Some(allocated), Some(gap)) => {
            add("allocated", "allocated", Some(allocated));
            add("gap", "reserved, not allocated", Some(gap))
        }
        (Some(allocated), None) => {
            add("allocated", "allocated", Some(allocated));
            add("gap", "reserved, not allocated", memory.reserved.and_then(|all| all.checked_sub(allocated)))
        }
        (None, _) if memory.most => add("reserved", "reserved, the most that was seen", memory.reserved),
        (None, _) => add("reserved", "reserved", memory.reserved),
    };
    let drawn = match memory.this_process {
        Some(process) => add("context", "this process beside it", process.checked_sub(drawn)),
        None => drawn,
    };
    let rest = memory.capacity.and_then(|capacity| capacity.checked_sub(drawn));
    match (rest, memory.free) {
        (Some(rest), Some(free)) => {
            let between = rest.checked_sub(free);
            if memory.this_process.is_some() {
                add("others", "others on the card", between);
            } else {
                add("untold", "not told whose", between);
            }
            add("free", "free", Some(free));
        }
        (Some(rest), None) => drop(add("untold", "not told", Some(rest))),
        (None, free) => drop(add("free", "free", free)),
    }
    parts
}

/// The picture; nothing if nobody told anything.
pub(super) fn chart(all: &[Memory]) -> Option<String> {
    let ends = all.iter().map(|memory| {
        let end = parts(memory).iter().map(|part| part.size).fold(0u64, u64::saturating_add);
        let asked = memory
            .tried
            .map_or(0, |tried| end.saturating_sub(memory.free.unwrap_or(0)).saturating_add(tried));
        end.max(asked).max(memory.capacity.unwrap_or(0))
    });
    let most = ends.max().filter(|most| *most > 0)? as f64;
    let x = |bytes: u64| bytes as f64 / most * (WIDTH - 2.0) + 1.0;
    let height = ROW * all.len() as f64 + 4.0;
    let mut svg = format!(
        r#"<svg class="memory" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="GPU memory before and after">"#
    );
    for (at, memory) in all.iter().enumerate() {
        row(&mut svg, memory, ROW * at as f64, &x);
    }
    svg.push_str("</svg>");
    Some(svg)
}

fn row(svg: &mut String, memory: &Memory, top: f64, x: &impl Fn(u64) -> f64) {
    let y = top + 22.0;
    let what = match (memory.most, memory.failed) {
        (false, _) => "memory ran out",
        (true, true) => "the most that was seen before it ran out again",
        (true, false) => "the most that was seen",
    };
    // Writing into a string cannot fail.
    let _ = write!(
        svg,
        r#"<text class="label" x="1" y="{}">{}</text><text class="what" x="{}" y="{}" text-anchor="end">{}</text>"#,
        top + 15.0,
        html(&memory.title),
        WIDTH - 1.0,
        top + 15.0,
        match memory.capacity {
            Some(capacity) => format!("{what} · card of {}", bytes(capacity)),
            None => format!("{what} · size of the card not told"),
        }
    );
    let mut from = 0u64;
    for part in parts(memory) {
        let to = from.saturating_add(part.size);
        let (left, width) = (x(from), x(to) - x(from));
        let _ = write!(
            svg,
            r#"<rect class="{}" x="{left:.1}" y="{y}" width="{width:.1}" height="{BAR}"><title>{}: {}</title></rect>"#,
            part.class,
            part.what,
            bytes(part.size)
        );
        let text = bytes(part.size);
        // Only where it fits.
        if width > 7.0 * text.len() as f64 {
            let _ = write!(
                svg,
                r#"<text class="size" x="{:.1}" y="{}" text-anchor="middle">{text}</text>"#,
                left + width / 2.0,
                y + 15.0
            );
        }
        from = to;
    }
    if let Some(tried) = memory.tried {
        let begin = from.saturating_sub(memory.free.unwrap_or(0));
        let (left, right, at) = (x(begin), x(begin.saturating_add(tried)), y + BAR + 5.0);
        let _ = write!(
            svg,
            r#"<path class="tried" d="M{left:.1} {} V{} M{left:.1} {at} H{right:.1} M{right:.1} {} V{}"><title>asked for and refused: {}</title></path>"#,
            at - 3.0,
            at + 3.0,
            at - 3.0,
            at + 3.0,
            bytes(tried)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Memory {
        Memory {
            visit: 2,
            title: "rank 5 <b> on gpu-21".into(),
            failed: true,
            most: false,
            capacity: Some(79 << 30),
            allocated: Some(30 << 30),
            reserved_unallocated: Some(40 << 30),
            reserved: Some(70 << 30),
            this_process: Some(71 << 30),
            free: Some(6 << 30),
            tried: Some(25 << 30),
        }
    }

    fn words(memory: &Memory) -> String {
        parts(memory)
            .iter()
            .map(|part| format!("{} {}", part.what, bytes(part.size)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn a_bar_adds_up_to_the_card_and_says_what_is_not_told() {
        let all = failed();
        assert_eq!(
            words(&all),
            "allocated 30.00 GiB, reserved, not allocated 40.00 GiB, this process beside it 1.00 GiB, \
             others on the card 2.00 GiB, free 6.00 GiB"
        );
        let blind = Memory { this_process: None, ..all.clone() };
        assert!(words(&blind).contains("not told whose 3.00 GiB"), "{}", words(&blind));
        let unfree = Memory { free: None, ..all.clone() };
        assert!(words(&unfree).ends_with("not told 8.00 GiB"), "{}", words(&unfree));
        let bare =
            Memory { capacity: None, allocated: None, this_process: None, free: None, most: true, ..all };
        assert_eq!(words(&bare), "reserved, the most that was seen 70.00 GiB");
    }

    #[test]
    fn the_picture_is_xml_and_numbers_that_contradict_each_other_do_not_break_it() {
        let odd =
            Memory { allocated: Some(u64::MAX), free: Some(u64::MAX), tried: Some(u64::MAX), ..failed() };
        let svg = chart(&[failed(), odd]).unwrap();
        let parsed = roxmltree::Document::parse(&svg).unwrap();
        assert!(parsed.descendants().any(|node| node.text() == Some("rank 5 <b> on gpu-21")));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(chart(&[]), None);
    }
}
