//! Where the secrets of DNS cookies come from: a file that the servers of a site share, or this process.

use std::sync::Arc;

use crate::units::CookieSecret;

/// A secret for this process alone, from the system's random numbers.
///
/// # Errors
/// The system has none.
pub(super) fn make() -> Result<CookieSecret, getrandom::Error> {
    let mut secret = CookieSecret([0; 16]);
    getrandom::fill(&mut secret.0)?;
    Ok(secret)
}

/// `newest` and the one before it: a cookie lives an hour, a secret two days.
pub(super) fn roll(secrets: &[CookieSecret], newest: CookieSecret) -> Arc<[CookieSecret]> {
    [newest].into_iter().chain(secrets.first().copied()).collect()
}

/// The secrets in a file: 32 hexadecimal digits a line, the newest first; `#` begins a comment.
///
/// # Errors
/// A sentence about the first line that is no secret, or about there being none.
pub(super) fn read(text: &str) -> Result<Arc<[CookieSecret]>, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
    let secrets: Arc<[CookieSecret]> = lines
        .map(|(i, line)| secret(line).ok_or_else(|| format!("line {} is not 32 hexadecimal digits", i + 1)))
        .collect::<Result<_, _>>()?;
    if secrets.is_empty() { Err("there is no secret in it".to_owned()) } else { Ok(secrets) }
}

fn secret(line: &str) -> Option<CookieSecret> {
    let (pairs, rest) = line.as_bytes().as_chunks::<2>();
    if pairs.len() != 16 || !rest.is_empty() {
        return None;
    }
    let mut secret = CookieSecret([0; 16]);
    for (byte, pair) in secret.0.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = (high? << 4 | low?) as u8;
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "00112233445566778899aabbccddeeff";
    const B: &str = "FFEEDDCCBBAA99887766554433221100";

    #[test]
    fn a_file_has_the_newest_secret_first() {
        let secrets = read(&format!("# from the vault\n{A}\n\n  {B} # yesterday's\n")).unwrap();
        let bytes: Vec<u8> = secrets.iter().map(|secret| secret.0[1]).collect();
        assert_eq!(bytes, [0x11, 0xee]);
    }

    #[test]
    fn what_is_no_secret_is_named_by_its_line() {
        for (text, why) in [
            ("", "there is no secret in it"),
            ("# only words", "there is no secret in it"),
            (&format!("{A}\n{}", &B[1..]), "line 2 is not 32 hexadecimal digits"),
            (&format!("{A}0"), "line 1 is not 32 hexadecimal digits"),
            (&format!("+{}", &A[1..]), "line 1 is not 32 hexadecimal digits"),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn the_secret_before_is_kept_for_one_more_turn() {
        let [a, b, c] = [1, 2, 3].map(|byte| CookieSecret([byte; 16]));
        let secrets = roll(&roll(&roll(&[], a), b), c);
        assert_eq!(*secrets, [c, b]);
        assert_ne!(make().unwrap(), make().unwrap());
    }
}
