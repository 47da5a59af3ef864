//! Numbers and lists in words, the same wherever people read them.

use std::fmt::Display;

/// `1 query`, `2 queries`.
pub fn plural<N: Copy + Display + PartialEq + From<u8>>(count: N, one: &str, many: &str) -> String {
    let word = if count == N::from(1) { one } else { many };
    format!("{count} {word}")
}

/// The first `most` of them, and how many others there are: `a, b and 3 others`. Of none, `nobody`.
pub fn some<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let (shown, others) = names.split_at(most.min(names.len()));
    let shown = shown.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match others.len() {
        _ if names.is_empty() => "nobody".to_owned(),
        0 => shown,
        count => format!("{shown} and {}", plural(count, "other", "others")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let told = [0_u64, 1, 2].map(|count| plural(count, "query", "queries"));
        assert_eq!(told, ["0 queries", "1 query", "2 queries"]);
    }

    #[test]
    fn many_are_counted() {
        for (names, told) in [
            (&[][..], "nobody"),
            (&["a", "b"], "a, b"),
            (&["a", "b", "c"], "a, b and 1 other"),
            (&["a", "b", "c", "d"], "a, b and 2 others"),
        ] {
            assert_eq!(some(names, 2), told);
        }
    }
}
