//! The checks that look deeper into a Puppet master than its status does.

use std::num::NonZeroU16;
use std::time::Duration;

use super::Trust;
use crate::units::Presence;

/// Settings of a `puppet-load` check.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadCheck {
    /// Where the member's record does not tell the port.
    pub port: NonZeroU16,
    /// How the certificate is judged.
    pub trust: Trust,
    /// The first in line has waited for so long: the member is busy.
    pub busy: Duration,
    /// It has waited for so long: the member is saturated. Not shorter than `busy`.
    pub saturated: Duration,
    /// How much of its part a busy member gets.
    pub busy_share: Presence,
}
