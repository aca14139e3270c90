use proptest::prelude::*;

use super::*;

const JSON: &str = r#"{
  // as hjson allows
  "train_batch_size": 64,
  "train_micro_batch_size_per_gpu" : 4,
  "zero_optimization": { "stage": 2, "overlap_comm": true },
  "bf16": { "enabled": "auto" }
}
"#;

const YAML: &str = "# SFT of the 8B model\nbase_model: /models/llama-8b\nmicro_batch_size: 4   # per GPU\n\
    gradient_accumulation_steps: \"8\"\nfsdp_config:\n  fsdp_activation_checkpointing: false\n  \
    fsdp_sharding_strategy: HYBRID_SHARD\ndatasets:\n  - path: a\n    type: b\nlr: 1e-5\nseq: &seq 4096\ncut: *seq\n";

const TOML: &str = "[job]\ndump_folder = './out'\n\n[training]\nlocal_batch_size = 8  # per rank\nseq_len = 8192\n\n\
    [activation_checkpoint]\nmode = 'selective'\n";

fn doc(format: Format, text: &str) -> Doc {
    Doc::parse(format, text).unwrap()
}

fn word(doc: &Doc, path: &str) -> Option<String> {
    match doc.get(path) {
        Lookup::One(entry) => entry.value.word(),
        _ => None,
    }
}

/// The lines that differ.
fn differing(before: &str, after: &Doc) -> Vec<String> {
    let old: Vec<&str> = before.lines().collect();
    after.text().lines().filter(|line| !old.contains(line)).map(str::to_owned).collect()
}

#[test]
fn values_are_found_by_their_path() {
    let json = doc(Format::Json, JSON);
    assert_eq!(word(&json, "zero_optimization.stage").as_deref(), Some("2"));
    assert_eq!(word(&json, "bf16.enabled").as_deref(), Some("auto"));
    assert_eq!(json.get("zero_optimization.no"), Lookup::Absent);
    let yaml = doc(Format::Yaml, YAML);
    assert_eq!(word(&yaml, "micro_batch_size").as_deref(), Some("4"));
    assert_eq!(word(&yaml, "lr").as_deref(), Some("1e-5"));
    assert_eq!(word(&yaml, "fsdp_config.fsdp_activation_checkpointing").as_deref(), Some("false"));
    assert_eq!(word(&yaml, "datasets.[0].path").as_deref(), Some("a"));
    assert_eq!(yaml.get("cut"), Lookup::Unclear);
    let toml = doc(Format::Toml, TOML);
    assert_eq!(word(&toml, "training.local_batch_size").as_deref(), Some("8"));
    let Lookup::One(entry) = toml.get("activation_checkpoint.mode") else { panic!() };
    assert_eq!(toml.line(entry), 9);
}

#[test]
fn an_edit_changes_one_line() {
    for (format, text, path, new, line) in [
        (
            Format::Json,
            JSON,
            "train_micro_batch_size_per_gpu",
            "2",
            "  \"train_micro_batch_size_per_gpu\" : 2,",
        ),
        (
            Format::Json,
            JSON,
            "zero_optimization.stage",
            "3",
            "  \"zero_optimization\": { \"stage\": 3, \"overlap_comm\": true },",
        ),
        (Format::Json, JSON, "bf16.enabled", "on", "  \"bf16\": { \"enabled\": \"on\" }"),
        (Format::Yaml, YAML, "micro_batch_size", "2", "micro_batch_size: 2   # per GPU"),
        (Format::Yaml, YAML, "gradient_accumulation_steps", "16", "gradient_accumulation_steps: \"16\""),
        (
            Format::Yaml,
            YAML,
            "fsdp_config.fsdp_activation_checkpointing",
            "true",
            "  fsdp_activation_checkpointing: true",
        ),
        (
            Format::Yaml,
            YAML,
            "fsdp_config.fsdp_sharding_strategy",
            "FULL_SHARD",
            "  fsdp_sharding_strategy: FULL_SHARD",
        ),
        (Format::Toml, TOML, "training.local_batch_size", "4", "local_batch_size = 4  # per rank"),
        (Format::Toml, TOML, "activation_checkpoint.mode", "full", "mode = 'full'"),
    ] {
        let after = doc(format, text).set(path, &New::of(new)).unwrap();
        assert_eq!(differing(text, &after), [line]);
        assert_eq!(word(&after, path).as_deref(), Some(new));
    }
}

#[test]
fn a_key_is_added_beside_another() {
    for (format, text, beside, path, new, line) in [
        (
            Format::Json,
            JSON,
            "train_micro_batch_size_per_gpu",
            "gradient_accumulation_steps",
            "2",
            "  \"gradient_accumulation_steps\" : 2,",
        ),
        (
            Format::Json,
            JSON,
            "zero_optimization.stage",
            "zero_optimization.x",
            "2",
            "  \"zero_optimization\": { \"stage\": 2, \"x\": 2, \"overlap_comm\": true },",
        ),
        (
            Format::Yaml,
            YAML,
            "micro_batch_size",
            "gradient_checkpointing",
            "true",
            "gradient_checkpointing: true",
        ),
        (Format::Yaml, YAML, "fsdp_config.fsdp_sharding_strategy", "fsdp_config.x", "y", "  x: y"),
        (
            Format::Toml,
            TOML,
            "training.local_batch_size",
            "training.global_batch_size",
            "64",
            "global_batch_size = 64",
        ),
        (
            Format::Toml,
            TOML.trim_end(),
            "activation_checkpoint.mode",
            "activation_checkpoint.x",
            "y",
            "x = \"y\"",
        ),
    ] {
        let after = doc(format, text).add(path, &New::of(new), beside).unwrap();
        assert_eq!(differing(text, &after), [line]);
        assert_eq!(word(&after, path).as_deref(), Some(new));
    }
}

#[test]
fn what_is_not_plain_is_refused() {
    let yaml = doc(Format::Yaml, "a: &x 4\nb: *x\nc: {d: 1}\ne: |\n  4\ng:\n<<: {h: 1}\n");
    for path in ["a", "b", "c", "e", "g", "none"] {
        assert!(yaml.set(path, &New::Number(2)).is_err(), "{path}");
    }
    assert!(yaml.add("c.x", &New::Number(1), "c.d").is_err());
    let json = doc(Format::Json, "{\"a\": 1, \"a\": 2}");
    assert!(json.set("a", &New::Number(3)).is_err());
    for (format, text) in [
        (Format::Json, "{'a': 1}"),
        (Format::Json, "{\"a\" 1}"),
        (Format::Json, "[1]"),
        (Format::Json, ""),
        (Format::Yaml, "a: [1"),
        (Format::Yaml, "- 1"),
        (Format::Yaml, "a: 1\n---\nb: 2\n"),
        (Format::Toml, "a = \n"),
        (Format::Toml, "a = 1\na = 2\n"),
    ] {
        assert!(Doc::parse(format, text).is_err(), "{text}");
    }
}

#[test]
fn nesting_beyond_sense_is_no_danger() {
    for (format, open, close) in
        [(Format::Json, "{\"a\":", "}"), (Format::Yaml, "{a: ", "}"), (Format::Toml, "a={a=", "}")]
    {
        let text = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        assert!(Doc::parse(format, &text).is_err());
    }
}

proptest! {
    #[test]
    fn nothing_but_the_value_changes(
        format in prop::sample::select(vec![Format::Json, Format::Yaml, Format::Toml]),
        values in prop::collection::vec(prop::sample::select(vec!["1", "4096", "true", "false", "\"auto\"", "\"a b\""]), 1..6),
        at in any::<prop::sample::Index>(),
        new in prop::sample::select(vec!["2", "false", "full"]),
        spaces in 0_usize..3,
    ) {
        let gap = " ".repeat(spaces + 1);
        let pairs: Vec<String> = values.iter().enumerate().map(|(index, value)| match format {
            Format::Json => format!("\"k{index}\":{gap}{value}"),
            Format::Yaml => format!("k{index}:{gap}{value}{gap}# k{index}\n"),
            Format::Toml => format!("k{index} ={gap}{value}{gap}# k{index}\n"),
        }).collect();
        let text = match format {
            Format::Json => format!("{{\n{gap}{}\n}}\n", pairs.join(&format!(",\n{gap}"))),
            Format::Yaml | Format::Toml => pairs.concat(),
        };
        let before = doc(format, &text);
        let path = format!("k{}", at.index(values.len()));
        let Lookup::One(entry) = before.get(&path) else { panic!() };
        let after = before.set(&path, &New::of(new)).unwrap();
        let tail = text.len() - entry.range.end;
        prop_assert_eq!(&after.text()[..entry.range.start], &text[..entry.range.start]);
        prop_assert_eq!(&after.text()[after.text().len() - tail..], &text[entry.range.end..]);
        prop_assert_eq!(word(&after, &path), Some(new.to_owned()));
        let added = before.add("new_key", &New::of(new), &path).unwrap();
        let kept: Vec<&str> = added.text().lines().filter(|line| !line.contains("new_key")).collect();
        let old: Vec<&str> = text.lines().collect();
        prop_assert!(format == Format::Json || kept == old);
    }

    #[test]
    fn no_text_panics(format in prop::sample::select(vec![Format::Json, Format::Yaml, Format::Toml]), text in "\\PC{0,60}|[a-c:{}\\[\\]\"', \n&*=#-]{0,60}") {
        if let Ok(doc) = Doc::parse(format, &text) {
            let _ = doc.set("a", &New::Number(1));
            let _ = doc.add("b", &New::Number(1), "a");
        }
    }
}
