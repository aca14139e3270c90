//! `launch.allocator`: settings of PyTorch's caching allocator.

mod decide;
mod knowledge;
mod on_line;
mod settings;
mod step;
#[cfg(test)]
mod tests;
mod version;

pub(super) use step::Allocator;
