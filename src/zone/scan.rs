//! Text to entries: the lexical rules of RFC 1035 §5.1, and nothing of what the words mean.

use std::ops::Range;

/// One line, or what parentheses make one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'t> {
    /// Whether it begins with white space: the owner is the last one.
    pub(super) indented: bool,
    /// Its words, one at least.
    pub(super) tokens: Vec<Token<'t>>,
}

/// A word or a quoted string, escapes and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'t> {
    /// Without the quotes.
    pub(super) text: &'t str,
    /// Whether it was quoted.
    pub(super) quoted: bool,
    /// Where it stands, quotes included.
    pub(super) span: Range<usize>,
}

/// What breaks the lexical rules, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) why: &'static str,
    pub(super) span: Range<usize>,
}

/// Reads entries one after another.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn entry(&mut self) -> Result<Entry<'t>, Broken> {
        let indented = matches!(self.peek(), Some(b' ' | b'\t'));
        let mut entry = Entry { indented, tokens: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' if open.is_empty() => break,
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b';' => self.skip_comment(),
                b'(' => {
                    open.push(self.at);
                    self.at += 1;
                }
                b')' if open.pop().is_some() => self.at += 1,
                b')' => return Err(Broken { why: "a `)` without a `(`", span: self.at..self.at + 1 }),
                b'"' => entry.tokens.push(self.quoted()?),
                _ => entry.tokens.push(self.word()?),
            }
        }
        self.at += 1;
        match open.last() {
            Some(&at) => Err(Broken { why: "this `(` is never closed", span: at..at + 1 }),
            None => Ok(entry),
        }
    }

    fn skip_comment(&mut self) {
        self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |length| self.at + length);
    }

    fn skip_line(&mut self) {
        self.skip_comment();
        self.at += 1;
    }

    /// A word; behind a `=` it may go on quoted, as the parameters of SVCB do (RFC 9460 §2.1).
    fn word(&mut self) -> Result<Token<'t>, Broken> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' if self.text[start..self.at].ends_with('=') => {
                    self.quoted()?;
                }
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' => self.skip_escape(),
                _ => self.at += 1,
            }
        }
        Ok(Token { text: &self.text[start..self.at], quoted: false, span: start..self.at })
    }

    fn quoted(&mut self) -> Result<Token<'t>, Broken> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                None | Some(b'\n') => {
                    return Err(Broken {
                        why: "this quoted string does not end on its line",
                        span: start..self.at,
                    });
                }
                Some(b'\\') => self.skip_escape(),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(Token { text: &self.text[start + 1..self.at - 1], quoted: true, span: start..self.at })
    }

    /// The backslash and the character behind it, whatever that is; a newline ends the line all the same.
    fn skip_escape(&mut self) {
        self.at += 1;
        let escaped = self.text[self.at..].chars().next().filter(|&c| c != '\n');
        self.at += escaped.map_or(0, char::len_utf8);
    }
}

impl<'t> Iterator for Scanner<'t> {
    type Item = Result<Entry<'t>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            let start = self.at;
            match self.entry() {
                Ok(entry) if entry.tokens.is_empty() => {}
                Ok(entry) => return Some(Ok(entry)),
                Err(broken) => {
                    // What follows the line of the problem is read as if nothing had happened.
                    self.at = start.max(broken.span.start);
                    self.skip_line();
                    return Some(Err(broken));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        let entries = Scanner::new(text).map(|entry| entry.unwrap());
        entries.map(|entry| entry.tokens.into_iter().map(|token| token.text).collect()).collect()
    }

    #[test]
    fn entries_are_lines_or_what_parentheses_join() {
        assert_eq!(words("a b\nc\n"), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(words("a ( b ; comment )\n c\n) d"), [["a", "b", "c", "d"]]);
        assert_eq!(words("a(b)c\r\n\n \t\n;x\n"), [["a", "b", "c"]]);
    }

    #[test]
    fn quotes_and_escapes_keep_what_they_hold() {
        assert_eq!(words(r#"a "b ; ( \" c" d\;e"#), [["a", r#"b ; ( \" c"#, r"d\;e"]]);
    }

    #[test]
    fn a_broken_line_does_not_hide_the_next() {
        let all: Vec<_> = Scanner::new("a )\nb \"c\nd\n").collect();
        assert!(all[0].is_err() && all[1].is_err());
        assert_eq!(all[2].as_ref().unwrap().tokens[0].text, "d");
        assert!(Scanner::new("a ( b\n").next().unwrap().is_err());
    }
}
