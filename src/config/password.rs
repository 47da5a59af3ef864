//! The password that a check logs in with.

use std::fmt;

/// A password. Its bytes are shown to nobody but the server that asks for them.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub(crate) Vec<u8>);

/// Why a file holds no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Nothing, or an empty line.
    #[error("there is no password in it")]
    Empty,
    /// A zero byte ends a string in the protocol.
    #[error("there is a zero byte in it, which no password can have")]
    Zero,
}

impl Password {
    /// Takes what a file holds: all of it but one line end.
    ///
    /// # Errors
    /// See [`BadPassword`].
    pub fn from_file(bytes: &[u8]) -> Result<Self, BadPassword> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        match line.strip_suffix(b"\r").unwrap_or(line) {
            [] => Err(BadPassword::Empty),
            line if line.contains(&0) => Err(BadPassword::Zero),
            line => Ok(Self(line.to_vec())),
        }
    }
}

/// Nobody should find one in a log.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_password() {
        for (file, password) in [
            (&b"secret"[..], Ok(&b"secret"[..])),
            (b"secret\n", Ok(b"secret")),
            (b"secret\r\n", Ok(b"secret")),
            (b" two words \n", Ok(b" two words ")),
            (b"with\n\n", Ok(b"with\n")),
            (b"", Err(BadPassword::Empty)),
            (b"\n", Err(BadPassword::Empty)),
            (b"a\0b\n", Err(BadPassword::Zero)),
        ] {
            assert_eq!(Password::from_file(file), password.map(|bytes| Password(bytes.to_vec())), "{file:?}");
        }
    }

    #[test]
    fn it_is_not_shown() {
        let password = Password::from_file(b"secret").unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
    }
}
