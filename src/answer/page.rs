//! What a reply is written on: a buffer of the caller's, and how far it is full.

/// A reply being written.
#[derive(Debug)]
pub(super) struct Page<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl<'b> Page<'b> {
    /// An empty one. `bytes` holds at least 512, which every caller's limit is within.
    pub(super) fn new(bytes: &'b mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// How much is written.
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds bytes. The caller has checked that they fit.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// Forgets what was written behind `len`.
    pub(super) fn cut(&mut self, len: usize) {
        self.len = len;
    }

    /// What was written, to be patched.
    #[inline]
    pub(super) fn written(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}
