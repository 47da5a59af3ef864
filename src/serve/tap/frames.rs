//! Frame Streams (`fstrm`): messages one after another on a Unix socket, and how both sides agree on what they are.
//!
//! ```text
//!  ──READY──▶  ◀──ACCEPT──  ──START──▶  ──data──▶ …  ──STOP──▶  ◀──FINISH──
//! ```
//!
//! A data frame is its length and its bytes. A control frame follows a length of zero: its own length, its type, and fields,
//! of which there is one kind, the type of the content. All numbers are 32 bits, the highest byte first.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;

/// The one kind of field.
const FIELD_CONTENT_TYPE: u32 = 1;
/// The longest control frame there is.
const LONGEST_CONTROL: usize = 512;

/// Agrees with the other side that messages of dnstap follow.
pub(super) async fn begin(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(&control(READY, Some(CONTENT_TYPE))).await?;
    let accepted = expect(stream, ACCEPT).await?;
    if !content_types(&accepted).any(|kind| kind == CONTENT_TYPE) {
        return Err(io::Error::other("it does not take dnstap"));
    }
    stream.write_all(&control(START, Some(CONTENT_TYPE))).await
}

/// Says that there is no more, and waits until all has been taken.
pub(super) async fn end(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    stream.write_all(&control(STOP, None)).await?;
    expect(stream, FINISH).await.map(drop)
}

/// Adds a data frame.
pub(super) fn push(into: &mut Vec<u8>, message: &[u8]) {
    into.extend_from_slice(&(message.len() as u32).to_be_bytes());
    into.extend_from_slice(message);
}

fn control(kind: u32, content_type: Option<&[u8]>) -> Vec<u8> {
    let field = content_type.map_or_else(Vec::new, |content_type| {
        [&FIELD_CONTENT_TYPE.to_be_bytes(), &(content_type.len() as u32).to_be_bytes(), content_type].concat()
    });
    let length = 4 + field.len() as u32;
    [&[0; 4][..], &length.to_be_bytes(), &kind.to_be_bytes(), &field].concat()
}

/// The fields of the next frame, which is a control frame of this type.
async fn expect(stream: &mut (impl AsyncRead + Unpin), kind: u32) -> io::Result<Vec<u8>> {
    let escape = stream.read_u32().await?;
    let length = stream.read_u32().await? as usize;
    let is_control = escape == 0 && (4..=LONGEST_CONTROL).contains(&length);
    if !is_control || stream.read_u32().await? != kind {
        return Err(io::Error::other("it does not speak Frame Streams"));
    }
    let mut fields = vec![0; length - 4];
    stream.read_exact(&mut fields).await?;
    Ok(fields)
}

/// The types of content that fields name, as far as they can be read.
fn content_types(mut fields: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (kind, rest) = fields.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let value;
        (value, fields) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        Some((u32::from_be_bytes(*kind), value))
    })
    .filter_map(|(kind, value)| (kind == FIELD_CONTENT_TYPE).then_some(value))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn both_sides_agree_on_dnstap_or_not_at_all() {
        let other = control(ACCEPT, Some(b"protobuf:other"));
        let both = [&[0, 0, 0, 1, 0, 0, 0, 1, b'x'], &other[12..]].concat();
        assert_eq!(content_types(&both).collect::<Vec<_>>(), [&b"x"[..], b"protobuf:other"]);
        for (answer, is_agreed) in [
            (control(ACCEPT, Some(CONTENT_TYPE)), true),
            (other, false),
            (control(ACCEPT, None), false),
            (control(FINISH, None), false),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), false),
            ([&[0; 4][..], &[0xff; 8]].concat(), false),
            (Vec::new(), false),
        ] {
            let (mut ours, mut theirs) = duplex(1024);
            theirs.write_all(&answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            assert_eq!(begin(&mut ours).await.is_ok(), is_agreed, "{answer:?}");
            drop(ours);
            let mut said = Vec::new();
            theirs.read_to_end(&mut said).await.unwrap();
            let ready = control(READY, Some(CONTENT_TYPE));
            assert_eq!(&said[..ready.len()], ready);
            let start = if is_agreed { control(START, Some(CONTENT_TYPE)) } else { Vec::new() };
            assert_eq!(&said[ready.len()..], start);
        }
    }
}
