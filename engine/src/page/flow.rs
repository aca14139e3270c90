//! A flow without a notation.

use std::ops::Range;

/// What a page draws.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flow {
    /// Its boxes, in the order in which they turn up.
    pub boxes: Vec<FlowBox>,
    /// Its arrows, in written order; invisible ones are left out.
    pub arrows: Vec<FlowArrow>,
    /// Boxes drawn together. An arrow may begin or end at one.
    pub groups: Vec<FlowGroup>,
}

/// One box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowBox {
    /// Its name.
    pub id: String,
    /// What it says, as [`words`](super::words) has it; its name if it says nothing.
    pub title: String,
    /// Where it says so, else where it first turns up.
    pub at: Range<usize>,
}

/// One arrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowArrow {
    /// The box or group where it begins.
    pub from: String,
    /// The box or group to which it leads.
    pub to: String,
    /// What is written on it, as [`words`](super::words) has it.
    pub label: Option<String>,
    /// Where it is: its label, else all of it.
    pub at: Range<usize>,
}

/// Boxes drawn together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowGroup {
    /// Its name.
    pub id: String,
    /// What is written on it.
    pub title: String,
    /// The boxes and groups in it.
    pub members: Vec<String>,
}

impl Flow {
    /// The box of this name.
    pub fn get(&self, id: &str) -> Option<&FlowBox> {
        self.boxes.iter().find(|one| one.id == id)
    }

    /// Arrows with boxes at both ends: one to a group leads to the boxes by which it is entered, one from a group comes
    /// from those at which it ends.
    pub fn between_boxes(&self) -> Vec<FlowArrow> {
        let ends = |id: &str, first: bool| {
            let mut inside = Vec::new();
            self.boxes_of(id, &mut inside);
            if inside.is_empty() {
                return vec![id.to_owned()];
            }
            let within = |id: &String| inside.contains(id);
            let touched = |id: &String| {
                self.arrows.iter().any(|arrow| {
                    let (near, far) = if first { (&arrow.to, &arrow.from) } else { (&arrow.from, &arrow.to) };
                    near == id && within(far) && far != id
                })
            };
            let free: Vec<String> = inside.iter().filter(|id| !touched(id)).cloned().collect();
            if free.is_empty() { inside.into_iter().take(1).collect() } else { free }
        };
        let mut all = Vec::new();
        for arrow in &self.arrows {
            for from in ends(&arrow.from, false) {
                for to in ends(&arrow.to, true) {
                    all.push(FlowArrow { from: from.clone(), to, ..arrow.clone() });
                }
            }
        }
        all
    }

    /// The boxes of a group in the order of the flow; none if it is no group.
    fn boxes_of(&self, id: &str, found: &mut Vec<String>) {
        let Some(group) = self.groups.iter().find(|group| group.id == id) else { return };
        let members = |one: &&FlowBox| group.members.contains(&one.id);
        found.extend(self.boxes.iter().filter(members).map(|one| one.id.clone()));
        for member in group.members.iter().filter(|member| *member != id && self.get(member).is_none()) {
            self.boxes_of(member, found);
        }
    }
}
