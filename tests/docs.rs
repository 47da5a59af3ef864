//! The documentation, held to what it says: its examples load, its links lead somewhere, and it leaves out no reason.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use onstage::daemon::load;
use onstage::demo::SiteCa;
use onstage::health::Reason;
use onstage::report::Colour;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Every file below `folder` whose name ends so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            found.extend(files(&entry, end));
        } else if entry.to_string_lossy().ends_with(end) {
            found.push(entry);
        }
    }
    found
}

/// Reads what is in the repository; what would be on a site's hosts is made up.
fn read(path: &Path, ca: &str, own: &(String, String)) -> io::Result<Vec<u8>> {
    let name = path.file_name().unwrap().to_string_lossy();
    match path.parent().and_then(Path::file_name).and_then(|folder| folder.to_str()) {
        _ if path.exists() => fs::read(path),
        Some("private_keys") => Ok(own.1.clone().into_bytes()),
        Some("certs") if name != "ca.pem" => Ok(own.0.clone().into_bytes()),
        _ if name.ends_with("ca.pem") => Ok(ca.into()),
        _ if name.ends_with(".secret") => Ok(b"hunter2\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[test]
fn each_example_is_complete_and_nothing_is_wrong_with_it() {
    let ca = SiteCa::new("Site CA").unwrap();
    let (pem, own) = (ca.pem(), ca.credentials("onstage.example.org").unwrap());
    let mut examples = files(&root().join("docs/examples"), ".toml");
    let others = ["zones/onstage.toml", "docker/onstage/onstage.toml", "contrib/debian/onstage.toml"];
    examples.extend(others.map(|path| root().join(path)));
    assert!(examples.len() > others.len() + 3);
    for example in examples {
        // Installed or mounted, the zones lie elsewhere.
        let elsewhere = |path: &Path| {
            if let Ok(mounted) = path.strip_prefix("/zones") {
                return Some(root().join("zones").join(mounted));
            }
            let installed = path.strip_prefix(example.parent()?).ok()?.strip_prefix("zones").ok()?;
            Some(root().join("contrib/debian").join(installed))
        };
        let reading = load(&example, |path| {
            let path = elsewhere(path).unwrap_or_else(|| path.to_owned());
            read(&path, &pem, &own)
        });
        let report = reading.report.render(&reading.sources, Colour::Never);
        assert_eq!(report, "", "{}", example.display());
        let loaded = reading.loaded.unwrap();
        assert!(loaded.plan.pools.iter().all(|pool| !pool.members.is_empty()));
    }
}

#[test]
fn each_reason_is_in_the_night_guide_and_in_the_reference() {
    for page in ["docs/operations.md", "docs/checks.md"] {
        let text = text(page);
        for reason in Reason::ALL {
            let row = text.lines().find(|line| line.starts_with(&format!("| `{reason}`")));
            let row = row.unwrap_or_else(|| panic!("{page} has no {reason}"));
            let is_doubt = row.contains("` ° |") || row.ends_with("| yes |");
            assert_eq!(is_doubt, reason.is_doubt(), "{page}: {reason}");
        }
    }
}

/// What a link calls the heading, as the forges that render Markdown do.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn each_link_leads_to_a_file_and_to_a_heading_in_it() {
    let mut pages = files(&root().join("docs"), ".md");
    pages.extend(["README.md", "ARCHITECTURE.md", "docker/README.md"].map(|page| root().join(page)));
    let (mut links, mut anchors) = (0, 0);
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) =
                link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{} names {link}", page.display());
            links += 1;
            if let Some(heading) = heading {
                let text = fs::read_to_string(&target).unwrap();
                let there = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(there, "{} names {link}", page.display());
                anchors += 1;
            }
        }
    }
    assert!(links > 40 && anchors > 4, "{links}, {anchors}");
}
