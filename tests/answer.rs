//! `answer()` against what the RFCs say: replayed examples, properties of every reply, even rotation.

mod edns;
mod pools;
mod properties;
mod replay;
mod rotation;
