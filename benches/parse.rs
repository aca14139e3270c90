//! Reads a YAML file into a tree of values and does nothing with it: what any checker of it has to pay.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("a file")?;
    let text = std::fs::read_to_string(path)?;
    // Real runbooks are small, and the reader's budget is for them.
    let options = serde_yaml::options! { budget: None };
    let tree: serde_json::Value = serde_yaml::from_str_with_options(&text, options)?;
    assert!(tree.is_object());
    Ok(())
}
