//! What verdicts add up to: a small state machine; and who watches that there are verdicts.
//!
//! It knows no member, no clock and no socket. A verdict goes in, the new state and whether the verdict was
//! expected come out.
//!
//! ```text
//!                    pass                          fail x fall, or leaving
//!  unknown ───────────────────────▶ up ─────────────────────────────────────▶ down
//!     │                             ▲                                          │  ▲
//!     │                             └────────────────── pass x rise ───────────┘  │
//!     └──────────────────────────── fail, leaving ────────────────────────────────┘
//! ```

mod agreement;
mod evidence;
mod guard;
mod leaves;
mod load;
mod machine;
mod order;
mod ramp;
mod silence;
mod standing;
mod verdict;
mod vigil;

pub use agreement::{Agreement, Concord, Stance};
pub use evidence::Evidence;
pub use guard::{Guard, Rules, Ruling, Turn};
pub use load::{Access, Burden, Level, Limits, Load};
pub use machine::{Observed, Pace, Thresholds};
pub use order::{BadRemark, Consent, Draft, Order, Remark, Word, whole_seconds};
pub use ramp::{Rise, ramp};
pub use standing::Standing;
pub use verdict::{Reason, Told, Verdict};
pub use vigil::Vigil;
