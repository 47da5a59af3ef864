//! onstage.toml(5): every key with what it means and its default, from the schema.

use std::collections::HashMap;

use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{marked, title};
use crate::config::reference::{self, Key, Table};

pub(super) fn page() -> String {
    let mut page = Roff::new();
    title(
        &mut page,
        "onstage.toml",
        "5",
        "config of onstage, the DNS server that answers with servers that can serve",
    );
    page.control("SH", ["DESCRIPTION"]);
    for paragraph in DESCRIPTION {
        page.text(marked(paragraph)).control("PP", []);
    }
    verbatim(&mut page, EXAMPLE);
    page.control("SH", ["TABLES"]);
    let mut told = HashMap::new();
    for table in reference::tables() {
        tell(&mut page, &table, &mut told);
    }
    page.control("SH", ["FILES"]).control("TP", []).text([bold("/etc/onstage/onstage.toml")]);
    page.text([roman("Where it is looked for, unless --config names another file.")]);
    page.control("SH", ["SEE ALSO"]);
    page.text(marked("`onstage`(1), `onstage-control`(7), `named-checkzone`(1)"));
    page.render()
}

const DESCRIPTION: [&str; 6] = [
    "The config says which zones are answered, and which names in them are pools, whose records are answered only with members \
     that can serve. Zones are plain master files (RFC 1035); the records of a pool's name are its members, and stand nowhere else.",
    "It is TOML. A key that no table has is refused, as is a value that does not fit: `onstage check` tells all that is wrong, with \
     file, line and column. `onstage check --defaults` prints what is in force where nothing is written.",
    "Times are numbers with units, in quotes: `\"500ms\"`, `\"2s\"`, `\"1m 30s\"`. Paths are relative to the folder of the config. \
     Addresses to listen on have a port, and IPv6 addresses stand in brackets: `\"[::]:53\"`.",
    "Zones, certificates and other files that the config names belong to it: if one of them cannot be used, all is refused, and \
     what is served stays as it was.",
    "A check may be named by a pool without a table of its own where it is named after a kind of which every key has a default.",
    "The example answers `puppet.example.org` with masters that Puppet Server's status page calls running:",
];

const EXAMPLE: &str = r#"[[zone]]
file = "zones/puppet.example.org.zone"

[check.puppetserver]
interval     = "2s"
puppetserver = { ca-file = "/etc/puppetlabs/puppet/ssl/certs/ca.pem" }

[[pool]]
name     = "puppet.example.org"
check    = "puppetserver"
min-live = 1

[pool.member."172.16.1.10"]
label = "puppet1""#;

/// One table. `told`: in which table each key was explained first, so that it is explained once.
fn tell(page: &mut Roff, table: &Table, told: &mut HashMap<(String, &'static str), &'static str>) {
    page.control("SS", [table.heading]);
    let mut about = vec![beyond_the_name(&one_line(table.about))];
    if !table.usual.is_empty() {
        let usual: Vec<String> =
            table.usual.iter().map(|(key, value)| format!("`{key} = {value}`")).collect();
        about.push(format!("Usual for this kind: {}.", usual.join(", ")));
    }
    about.retain(|paragraph| !paragraph.is_empty());
    for (i, paragraph) in about.iter().enumerate() {
        if i > 0 {
            page.control("PP", []);
        }
        page.text(marked(paragraph));
    }
    for key in &table.keys {
        head(page, key);
        match told.get(&(key.name.clone(), key.about)) {
            Some(first) => drop(page.text([roman("As in "), bold(*first), roman(".")])),
            None => explain(page, key),
        }
        told.entry((key.name.clone(), key.about)).or_insert(table.heading);
    }
}

/// A doc comment starts with what the heading says already: "`[server]`", or "`tcp = {…}`: more".
fn beyond_the_name(about: &str) -> String {
    let rest = about.strip_prefix('`').and_then(|rest| rest.split_once('`')).map_or(about, |(_, rest)| rest);
    let mut rest = rest.trim_start_matches([':', '.', ' ']).chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn head(page: &mut Roff, key: &Key) {
    page.control("TP", []);
    match &key.default {
        Some(default) => page.text([bold(&*key.name), roman(format!(" = {default}"))]),
        None => page.text([bold(&*key.name)]),
    };
}

fn explain(page: &mut Roff, key: &Key) {
    page.text(marked(&one_line(key.about)));
    if key.words.is_empty() {
        return;
    }
    page.control("RS", []);
    for (word, about) in &key.words {
        page.control("TP", []).text([italic(format!("\"{word}\""))]).text(marked(&one_line(about)));
    }
    page.control("RE", []);
}

/// Lines as they are, indented.
fn verbatim(page: &mut Roff, lines: &str) {
    page.control("RS", ["4"]).control("nf", []);
    for line in lines.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []).control("RE", []);
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use toml::{Table, Value};

    use super::super::{Page, tests::read};
    use crate::config;

    /// Each key of a config that has them all, and each default, must stand under the heading of its table.
    #[test]
    fn every_key_and_every_default_is_in_the_manual() {
        let page = read(Page::OnstageToml);
        let every: Table = include_str!("../../../tests/fixtures/full.toml").parse().unwrap();
        let defaults: Table = config::defaults().parse().unwrap();
        let mut keys = 0;
        for (heading, key, _) in leaves(&every, |_| "[check.NAME]") {
            let (section, head) = (section(&page, &heading), format!("\n{key}"));
            assert!(section.contains(&head), "{heading} has no {key}:\n{section}");
            keys += 1;
        }
        // The defaults name each check after its kind, with which stands what is usual for it.
        for (heading, key, value) in leaves(&defaults, |kind| kind) {
            let (section, head) = (section(&page, &heading), format!("{key} = {value}"));
            assert!(section.contains(&head), "{heading} has no {head}:\n{section}");
            keys += 1;
        }
        assert!(keys > 150, "{keys} were looked for");
    }

    /// Table, key and value, as deep as there are tables with headings of their own.
    fn leaves(file: &Table, check_heading: fn(&str) -> &str) -> Vec<(String, String, String)> {
        let mut leaves = Vec::new();
        let mut add = |heading: &str, table: &Value| {
            for (key, value) in table.as_table().unwrap() {
                leaves.push((heading.to_owned(), key.clone(), value.to_string()));
            }
        };
        for (name, value) in file {
            match (name.as_str(), value) {
                ("check", checks) => {
                    for (name, check) in checks.as_table().unwrap() {
                        add(check_heading(name), &Value::Table(without_kinds(check)));
                        let kinds = check.as_table().unwrap().iter().filter(|(_, kind)| kind.is_table());
                        kinds.for_each(|(kind, keys)| add(kind, keys));
                    }
                }
                (_, Value::Array(tables)) => {
                    for table in tables {
                        add(&format!("[[{name}]]"), table);
                        let members = table.get("member").and_then(Value::as_table);
                        members
                            .into_iter()
                            .flatten()
                            .for_each(|(_, member)| add("[pool.member.\"MEMBER\"]", member));
                    }
                }
                (_, table) => {
                    add(&format!("[{name}]"), table);
                    let inner = table.as_table().unwrap().iter().filter(|(_, inner)| inner.is_table());
                    inner.for_each(|(key, inner)| add(&format!("[{name}.{key}]"), inner));
                }
            }
        }
        leaves
    }

    fn without_kinds(check: &Value) -> Table {
        let keys = check.as_table().unwrap().iter().filter(|(_, value)| !value.is_table());
        keys.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn section<'p>(page: &'p str, heading: &str) -> &'p str {
        let start = page.split(".SS ").skip(1).find(|section| {
            section
                .lines()
                .next()
                .is_some_and(|line| line.replace("\"\"", "\"").trim_matches('"') == heading.trim_matches('"'))
        });
        start.unwrap_or_else(|| panic!("there is no {heading}"))
    }
}
