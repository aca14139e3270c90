//! A chart as SVG.

use engine::chart::{Chart, mermaid};
use merman::svg::SvgPipeline;
use merman::{OperationControl, RenderOutput, RenderRequest, Renderer, SvgRequest};

use crate::error::CliError;

/// The layout that is built in, boxes without the shadows that some viewers leave out together with their box, and labels
/// of arrows on white.
const CONFIG: &str = "---\nconfig:\n  layout: dagre\n  look: classic\n  themeVariables: { edgeLabelBackground: \"#ffffff\" }\n---\n";

/// The chart as one SVG document, without scripts, fonts or anything else from outside. `id` tells several in one page
/// apart.
///
/// # Errors
/// If the renderer refuses it: it is too large to be drawn.
pub(crate) fn svg(chart: &Chart, id: &str) -> Result<String, CliError> {
    let source = format!("{CONFIG}{}", mermaid(chart));
    let mut request = SvgRequest::default();
    request.options.diagram_id = Some(id.to_owned());
    // Labels as text of SVG itself: what shows no HTML (image viewers, printers) shows them, too.
    request.pipeline = Some(SvgPipeline::resvg_safe());
    let rendered = Renderer::new().render(RenderRequest::svg(&source, OperationControl::new(), request));
    match rendered {
        Ok(RenderOutput::Svg(Some(drawn))) => Ok(drawn.into_parts().0),
        Ok(_) => Err(CliError::Internal("the chart was not taken for a diagram".to_owned())),
        Err(error) => Err(CliError::usage(
            format!("this graph cannot be drawn: {error}"),
            "`--format dot` gives it to Graphviz, `--format text` lists it",
        )),
    }
}
