//! Fixtures: an input that is wrong in one way, and the text that an operator gets for it, side by side.
//!
//! `ONSTAGE_BLESS=1` writes the texts anew; the diff is then what has to be looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use onstage::report::Code;

/// Renders each input in `tests/fixtures/FOLDER` and compares it with the `.txt` beside it. Each of `codes` must
/// have a file that is named after it and that shows it.
pub fn check(folder: &str, extension: &str, codes: &[Code], render: impl Fn(&Path) -> String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = BTreeSet::new();
    for input in inputs(&root.join("tests/fixtures").join(folder), extension) {
        let rendered = render(input.strip_prefix(root).expect("below the package"));
        let expected = input.with_extension("txt");
        if std::env::var_os("ONSTAGE_BLESS").is_some() {
            fs::write(&expected, &rendered).expect("the expected text is written");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(rendered, expected, "{}", input.display());
        let stem = input.file_stem().expect("a name").to_string_lossy().into_owned();
        if let Some(code) = codes.iter().find(|code| stem.starts_with(code.as_str())) {
            assert!(rendered.contains(&format!("[{code}]")), "{stem} does not show {code}");
            shown.insert(code.as_str());
        }
    }
    for code in codes {
        assert!(shown.contains(code.as_str()), "{code} has no fixture");
    }
}

fn inputs(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of the fixtures");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let mut inputs: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|e| e == extension)).collect();
    inputs.sort();
    inputs
}

#[test]
fn no_code_is_without_a_fixture() {
    for code in Code::ALL {
        assert!(crate::config::CODES.contains(code) || crate::zone::CODES.contains(code), "{code}");
    }
}
