//! How good the rule is, measured where the truth is known: on made-up jobs whose allocator is the model.

mod matrix;
mod workload;
