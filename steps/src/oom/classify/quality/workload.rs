//! Made-up jobs: what they ask for and give back, whatever the allocator answers.
//!
//! Seven habits of real jobs, each with sizes drawn at random. Their tensors do not matter, only the order of sizes and
//! lives: what is allocated once and stays, what lives from the forward pass to the backward pass, what is gone at once, and
//! what is kept by the way between others.

use crate::allocator::Dice;
use crate::size::{GIB, MIB};

/// Something that a job does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// So many bytes; names count up from 0.
    Ask(u64),
    /// What was asked for under this name.
    Free(u32),
}

/// What the job is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Habit {
    /// Every step the same shapes.
    Steady,
    /// Sequences of other lengths at every step.
    Varying,
    /// Tensors are kept by the way: losses, outputs, caches.
    Keeping,
    /// Shards are gathered for each layer and dropped (ZeRO-3, FSDP).
    Gathering,
    /// Evaluation now and then, with other shapes.
    Evaluating,
    /// Requests of any size come and go (inference).
    Serving,
    /// Many small tensors.
    Small,
}

const HABITS: [Habit; 7] = [
    Habit::Steady,
    Habit::Varying,
    Habit::Keeping,
    Habit::Gathering,
    Habit::Evaluating,
    Habit::Serving,
    Habit::Small,
];

/// A job on its device. Bytes.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) habit: Habit,
    pub(super) deeds: Vec<Deed>,
    /// On the device.
    pub(super) total: u64,
    /// What others hold.
    pub(super) others: u64,
    /// Of this process, outside the allocator.
    pub(super) context: u64,
    /// Whom the message names: nobody; itself; itself and the others; both by the host's ids.
    pub(super) naming: u64,
}

struct Job {
    dice: Dice,
    deeds: Vec<Deed>,
    sizes: Vec<u64>,
    live: u64,
    peak: u64,
}

impl Job {
    fn ask(&mut self, bytes: u64) -> u32 {
        let name = self.sizes.len() as u32;
        self.sizes.push(bytes);
        self.deeds.push(Deed::Ask(bytes));
        self.live += bytes;
        self.peak = self.peak.max(self.live);
        name
    }

    fn free(&mut self, name: u32) {
        self.live -= self.sizes[name as usize];
        self.deeds.push(Deed::Free(name));
    }

    /// About so many bytes.
    fn about(&mut self, bytes: u64) -> u64 {
        bytes * self.dice.between(60, 140) / 100
    }
}

impl Workload {
    pub(super) fn of(seed: u64) -> Self {
        let habit = HABITS[seed as usize % HABITS.len()];
        let mut job =
            Job { dice: Dice(seed ^ 0x5eed), deeds: Vec::new(), sizes: Vec::new(), live: 0, peak: 0 };
        match habit {
            Habit::Serving => serve(&mut job),
            Habit::Small => small(&mut job),
            _ => train(&mut job, habit),
        }
        let mut dice = job.dice;
        // From a fifth too little to a third more than the tensors need.
        let room = job.peak / 100 * dice.between(80, 134);
        let context = dice.between(300, 1300) * MIB;
        let others = if dice.once_in(4) { room / 100 * dice.below(60) } else { 0 };
        let total = (room + context + others).next_multiple_of(MIB);
        Self { habit, deeds: job.deeds, total, others, context, naming: dice.below(4) }
    }
}

/// Layers with weights, gradients and states of the optimizer; steps of a forward and a backward pass.
fn train(job: &mut Job, habit: Habit) {
    let layers = job.dice.between(8, 33);
    let width = job.dice.between(24, 201) * MIB;
    let shard = if habit == Habit::Gathering { job.dice.between(2, 9) } else { 1 };
    for _ in 0..layers {
        for part in [4, 4, 1, 1, 1, 1] {
            job.ask(width * part / 4 / shard);
        }
    }
    let activation = job.about(width);
    let vocabulary = job.dice.between(2, 12);
    // Steps grow from a short one on: most jobs do not die at the first.
    for step in 0..job.dice.between(4, 10) {
        let length = match habit {
            Habit::Varying => job.dice.between(20, 101),
            Habit::Evaluating if step % 3 == 2 => job.dice.between(101, 181),
            _ => 100,
        };
        pass(job, habit, layers, activation * length / 100, width, vocabulary);
        if habit == Habit::Evaluating && step % 3 == 2 {
            let output = job.about(activation / 4);
            job.ask(output);
        }
    }
}

fn pass(job: &mut Job, habit: Habit, layers: u64, activation: u64, width: u64, vocabulary: u64) {
    let mut kept: Vec<Vec<u32>> = Vec::new();
    for _ in 0..layers {
        let gathered = (habit == Habit::Gathering).then(|| job.ask(width));
        let mut saved = Vec::new();
        for share in [8, 8, 4, 2] {
            saved.push(job.ask(activation * share / 8));
            let scratch = job.ask(activation * share / 16);
            job.free(scratch);
        }
        saved.push(job.ask(activation / 300 + 512));
        if habit == Habit::Keeping && job.dice.once_in(3) {
            let size = job.about(activation / 6);
            job.ask(size);
        }
        if let Some(gathered) = gathered {
            job.free(gathered);
        }
        kept.push(saved);
    }
    let logits = job.ask(activation * vocabulary);
    let loss = job.ask(activation * vocabulary);
    job.free(logits);
    for saved in kept.into_iter().rev() {
        let gathered = (habit == Habit::Gathering).then(|| job.ask(width));
        let gradient = job.ask(activation);
        for name in saved.into_iter().rev() {
            job.free(name);
        }
        job.free(gradient);
        if let Some(gathered) = gathered {
            job.free(gathered);
        }
    }
    job.free(loss);
}

/// Weights, and requests of any size and life.
fn serve(job: &mut Job) {
    let weights = job.dice.between(8, 41) * GIB;
    for _ in 0..32 {
        job.ask(weights / 32);
    }
    let mut open: Vec<u32> = Vec::new();
    let most = job.dice.between(20, 120);
    for _ in 0..1500 {
        if open.len() as u64 > job.dice.below(most) {
            let at = job.dice.below(open.len() as u64) as usize;
            job.free(open.swap_remove(at));
        } else {
            let size = job.dice.between(1, 400) * job.dice.between(1, 400) * 8192;
            open.push(job.ask(size));
        }
    }
}

/// Small tensors, of which most go, between steps of large ones.
fn small(job: &mut Job) {
    let width = job.dice.between(64, 401) * MIB;
    for _ in 0..24 {
        job.ask(width);
    }
    for _ in 0..6 {
        let mut crumbs = Vec::new();
        let mut saved = Vec::new();
        for _ in 0..24 {
            saved.push(job.ask(width / 2));
            for _ in 0..12 {
                let size = job.dice.between(1, 1025) * 1024;
                crumbs.push(job.ask(size));
            }
        }
        for name in saved.into_iter().rev() {
            job.free(name);
        }
        for name in crumbs {
            if !job.dice.once_in(8) {
                job.free(name);
            }
        }
    }
}
