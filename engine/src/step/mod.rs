//! What a step is: data that describes it, and the few things it can be asked to do.

mod around;
mod context;
mod error;
mod preview;
mod price;
mod registry;
mod spec;
mod traits;

pub use around::{Around, Wrapped};
pub use context::{Progress, StepCx};
pub use error::{StepError, StepErrorKind};
pub use preview::{
    AnyPreview, Choice, Confirmation, Done, FileDiff, FileWrite, Performed, Predicted, Preview, Question,
    UndoPlan, UndoPreview, Undone,
};
pub use price::Price;
pub use registry::Registry;
pub use spec::{Effect, OutcomeSpec, Outcomes, StepSpec, Unbounded};
pub use traits::{Change, ChangeStep, Read, ReadStep, Step};
