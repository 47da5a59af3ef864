//! What happens because time passes: orders end, ramps rise, graces are over, suspicions come true.

use std::time::Duration;

use super::Director;
use crate::units::Moment;

/// The longest time between two looks at the clock on the wall, which may have been set meanwhile.
const LOOK: Duration = Duration::from_secs(60);

/// Whether something changed that the next run should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The state file is to be written.
    Changed,
    /// It says all there is to say.
    Same,
}

impl Director {
    /// How long after `now` it wants to be woken; `None`: not before something happens.
    pub fn wakes_in(&self, now: Moment) -> Option<Duration> {
        let orders = self.orders.first_end().map(|end| {
            let left = Duration::from_secs(end.saturating_sub(now.unix).into());
            left.min(LOOK)
        });
        let steady = [self.ramps.next(), self.agreements.next(), self.next_watch(now)];
        let steady = steady.into_iter().flatten().min().map(|next| next.saturating_sub(now.steady));
        orders.into_iter().chain(steady).min()
    }

    /// Does what is due. What follows is to be published: until then, ramps want to be woken for again.
    pub fn wake(&mut self, now: Moment) -> Kept {
        self.mount_guard(now);
        let orders = self.orders.count();
        self.due.extend(self.ramps.due(now.steady));
        let ended = self.end_orders(now);
        self.due.extend(ended);
        let ended = self.end_graces(now);
        self.due.extend(ended);
        if self.orders.count() == orders { Kept::Same } else { Kept::Changed }
    }
}
