//! The step `oom.classify`.

use async_trait::async_trait;
use engine::step::{Done, Effect, Outcomes, Performed, ReadStep, StepCx, StepError, StepErrorKind};
use schemars::JsonSchema;
use serde::Deserialize;

use super::evidence::Snapshot;
use super::facts::ErrorFields;
use super::foreign::Tenants;
use super::rules::{Around, DEFAULT_MARGIN, classify};
use super::verdict::{Classification, Verdict};
use crate::size::show;

/// What `oom.classify` takes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassifyParams {
    /// The error: the output of `oom.read`; null: not known.
    #[serde(default)]
    error: Option<ErrorFields>,
    /// Who else holds memory there: the output of `gpu.tenants`; null: nobody looked.
    #[serde(default)]
    tenants: Option<Tenants>,
    /// A memory snapshot of the process: the output of `oom.snapshot`; null: there is none. It counts only if its trace shows
    /// the failure that the message is about.
    #[serde(default)]
    snapshot: Option<Snapshot>,
    /// Share of the device (of the cap, if there is one) that must be left over before a request counts as fitting, from 0
    /// up to 1. Default 0.02.
    #[serde(default)]
    margin: Option<f64>,
}

/// `oom.classify`.
pub(crate) struct OomClassify;

#[async_trait]
impl ReadStep for OomClassify {
    const KIND: &'static str = "oom.classify";
    const SUMMARY: &'static str = "Tell a true out-of-memory error from fragmentation and from a co-tenant";
    const EFFECT: Effect = Effect::Pure;
    type Params = ClassifyParams;
    type Output = Classification;

    fn outcomes() -> Outcomes {
        Outcomes::fixed(&[
            (
                "true_oom",
                "however the memory is packed, the working set does not fit, or leaves less than the margin: reduce it",
            ),
            (
                "fragmentation",
                "it would fit if the reserved memory were in one piece: change the allocator's settings",
            ),
            ("co_tenant", "it would fit without what others were seen to hold on the device"),
            (
                "unknown",
                "a number that decides is missing, the numbers contradict each other, or they allow more than one cause",
            ),
        ])
    }

    async fn read(
        &self,
        _cx: &StepCx,
        params: ClassifyParams,
    ) -> Result<Performed<Classification>, StepError> {
        let margin = params.margin.unwrap_or(DEFAULT_MARGIN);
        if !(0.0..1.0).contains(&margin) {
            let message = format!("oom.classify: `margin` is {margin}, not a share from 0 up to 1");
            return Err(
                StepError::new(StepErrorKind::Params, message).help("0.02 asks for 2 % of the device")
            );
        }
        let around = Around { tenants: params.tenants.as_ref(), snapshot: params.snapshot.as_ref() };
        let out = classify(&params.error.unwrap_or_default(), around, margin);
        let line = match out.verdict {
            Verdict::TrueOom => match out.shortfall {
                Some(lack) if lack > 0 => {
                    format!("true OOM: {} short even if packed without a gap", show(lack))
                }
                _ => "true OOM: the working set does not fit".to_owned(),
            },
            Verdict::Fragmentation => {
                format!("fragmentation: {} reserved and not in use", show(out.gap.unwrap_or_default()))
            }
            Verdict::CoTenant => {
                format!("co-tenant: others hold {}", show(out.foreign_bytes.unwrap_or_default()))
            }
            Verdict::Unknown => "the numbers do not tell the cause".to_owned(),
        };
        let mut done = Done::new(out.verdict.name(), out.clone()).line(line);
        done.summary.extend(out.reasons.iter().take(3).cloned());
        Ok(done.into())
    }
}
