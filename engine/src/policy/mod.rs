//! What the administrators of a site demand of every change.

mod port;
mod site;

pub use port::{Closed, Demand, Intended, NoPolicy, Policy, ruling};
pub use site::{Answer, Effects, SitePolicy, SiteRule};
