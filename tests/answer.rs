//! `answer()` against what the RFCs say: replayed examples, properties of every reply, even rotation.

mod chaos;
mod dname;
mod edns;
mod found;
mod hosts;
mod nested;
mod options;
mod policies;
mod pools;
mod presence;
mod properties;
mod replay;
mod rotation;
mod staged;
mod unsettled;
