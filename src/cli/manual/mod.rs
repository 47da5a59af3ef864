//! `onstage man`: the manual, as roff.
//!
//! | page | made from |
//! |---|---|
//! | onstage(1) | the table of commands and flags |
//! | onstage.toml(5) | the schema of the config: its doc comments and its defaults |
//! | onstage-control(7) | `control.roff`, by hand |

mod command;
mod config;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::NO;

const CONTROL: &str = include_str!("control.roff");
/// When the manual changed last, for the foot of its pages.
const CHANGED: &str = "2026-11-25";

/// A page of the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Page {
    /// The command
    Onstage,
    /// The config
    #[value(name = "onstage.toml")]
    OnstageToml,
    /// The control socket
    OnstageControl,
}

/// Prints `page`.
pub(super) fn run(page: Page) -> ExitCode {
    match io::stdout().write_all(text(page).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(NO),
    }
}

fn text(page: Page) -> String {
    match page {
        Page::Onstage => command::page(),
        Page::OnstageToml => config::page(),
        Page::OnstageControl => CONTROL.to_owned(),
    }
}

/// The head of a page.
fn title(page: &mut Roff, name: &str, section: &str, about: &str) {
    let source = concat!("onstage ", env!("CARGO_PKG_VERSION"));
    page.control("TH", [&*name.to_uppercase(), section, CHANGED, source, "onstage"]);
    page.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
}

/// A paragraph in which words between backticks are bold.
fn marked(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    let parts = parts.filter(|(_, part)| !part.is_empty());
    parts.map(|(i, part)| if i % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// A table of terms and what is to be said of each.
fn terms(page: &mut Roff, terms: &[(&str, &str)]) {
    for (term, about) in terms {
        page.control("TP", []).text([bold(*term)]).text(marked(about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reference::kebab;

    /// A page as it is read: without the marks of roff.
    pub(super) fn read(page: Page) -> String {
        let marks = [r"\fB", r"\fR", r"\fI", r"\&"];
        let page = text(page).replace(r"\-", "-").replace(r"\*(Aq", "'").replace(r"\(aq", "'");
        marks.iter().fold(page, |page, mark| page.replace(mark, ""))
    }

    #[test]
    fn marks_are_set_around_words() {
        assert_eq!(marked("as `a` and"), [roman("as "), bold("a"), roman(" and")]);
    }

    #[test]
    fn each_field_route_and_error_of_the_control_socket_is_in_the_manual() {
        let page = read(Page::OnstageControl);
        let words: Vec<&str> = page.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let shapes = [include_str!("../../admin/status.rs"), include_str!("../../admin/probed.rs")];
        let shapes = shapes.concat().replace("    #[serde(flatten)]\n    pub ", "    // ");
        let fields = shapes.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(':'));
        let fields: Vec<&str> = fields.map(|(field, _)| field).filter(|field| !field.contains(' ')).collect();
        let missing: Vec<_> = fields.iter().filter(|field| !words.contains(field)).collect();
        assert!(missing.is_empty() && fields.len() > 70, "{missing:?}");
        let routes = include_str!("../../admin/router.rs").split("\"/v1/").skip(1);
        let routes: Vec<&str> = routes.filter_map(|route| route.split('"').next()).collect();
        assert!(routes.len() >= 7, "{routes:?}");
        for route in routes {
            assert!(page.contains(&format!("/v1/{route}")), "{route}");
        }
        let kinds = include_str!("../../admin/refused.rs").split_once("pub enum Kind {").unwrap().1;
        let kinds =
            kinds.lines().take_while(|line| *line != "}").filter_map(|line| line.trim().strip_suffix(','));
        let kinds: Vec<String> = kinds.map(kebab).collect();
        assert!(kinds.len() >= 10, "{kinds:?}");
        for kind in kinds {
            assert!(page.contains(&kind), "{kind}");
        }
    }

    #[test]
    fn each_page_says_where_it_stands_and_points_to_the_others() {
        for (page, title, others) in [
            (Page::Onstage, ".TH ONSTAGE 1 ", ["onstage.toml(5)", "onstage-control(7)"]),
            (Page::OnstageToml, ".TH ONSTAGE.TOML 5 ", ["onstage(1)", "onstage-control(7)"]),
            (Page::OnstageControl, ".TH ONSTAGE-CONTROL 7 ", ["onstage(1)", "onstage.toml(5)"]),
        ] {
            assert!(text(page).contains(title), "{title}");
            let read = read(page).replace(" (", "(");
            assert!(others.iter().all(|other| read.contains(other)), "{title}");
        }
    }
}
