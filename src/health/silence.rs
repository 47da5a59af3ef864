//! Who is silent, and since when. Who fell silent within the last interval is news; who did before is gone.

use std::collections::VecDeque;
use std::time::Duration;

/// Each member is heard, freshly silent, or gone.
#[derive(Debug)]
pub(super) struct Silence {
    members: Vec<State>,
    /// When those that are freshly silent fell so, and some that were heard again.
    order: VecDeque<(Duration, u32)>,
    fresh: usize,
    gone: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Heard,
    Fresh(Duration),
    Gone,
}

impl Silence {
    /// All of `count` members were heard.
    pub(super) fn new(count: usize) -> Self {
        Self { members: vec![State::Heard; count], order: VecDeque::new(), fresh: 0, gone: 0 }
    }

    /// A member is silent or not. Silence counts from its beginning.
    pub(super) fn note(&mut self, member: u32, is_silent: bool, now: Duration) {
        let state = self.members[member as usize];
        match (state, is_silent) {
            (State::Heard, true) => {
                self.order.push_back((now, member));
                self.set(member, State::Fresh(now));
            }
            (State::Fresh(_) | State::Gone, false) => self.set(member, State::Heard),
            (State::Heard, false) | (State::Fresh(_) | State::Gone, true) => {}
        }
    }

    /// Whether a member is.
    pub(super) fn is_silent(&self, member: u32) -> bool {
        self.members[member as usize] != State::Heard
    }

    /// Who is silent since `horizon`, or longer, is gone.
    pub(super) fn age(&mut self, horizon: Option<Duration>) {
        while let Some(&(since, member)) = self.order.front() {
            if horizon.is_none_or(|horizon| since > horizon) {
                return;
            }
            self.order.pop_front();
            if self.members[member as usize] == State::Fresh(since) {
                self.set(member, State::Gone);
            }
        }
    }

    /// All count as heard again.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.members.len());
    }

    /// How many fell silent lately.
    pub(super) const fn fresh(&self) -> usize {
        self.fresh
    }

    /// How many could have: all but those that are gone.
    pub(super) const fn watched(&self) -> usize {
        self.members.len() - self.gone
    }

    /// How many are silent, however long, and how many there are.
    pub(super) const fn silent(&self) -> (usize, usize) {
        (self.fresh + self.gone, self.members.len())
    }

    fn set(&mut self, member: u32, state: State) {
        let before = std::mem::replace(&mut self.members[member as usize], state);
        for (state, by) in [(before, -1), (state, 1)] {
            let count = match state {
                State::Heard => continue,
                State::Fresh(_) => &mut self.fresh,
                State::Gone => &mut self.gone,
            };
            *count = count.saturating_add_signed(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Three members, an interval of 10: at which time who is silent or heard, and how many are fresh, of how many.
    #[test]
    fn silence_is_news_for_an_interval() {
        let mut silence = Silence::new(3);
        for (now, member, is_silent, fresh, watched) in [
            (0, 0, true, 1, 3),
            (4, 1, true, 2, 3),
            (9, 0, true, 2, 3), // it was silent before
            (10, 2, false, 1, 2),
            (11, 0, false, 1, 3),
            (12, 0, true, 2, 3),
            (14, 2, true, 2, 2),
            (15, 0, false, 1, 2),
            (16, 0, true, 2, 2), // the entry of 12 is no longer its
            (22, 1, false, 2, 3),
            (24, 1, false, 1, 2),
            (26, 1, false, 0, 1),
        ] {
            silence.age(at(now).checked_sub(at(10)));
            silence.note(member, is_silent, at(now));
            assert_eq!((silence.fresh(), silence.watched()), (fresh, watched), "at {now}");
        }
        assert_eq!(silence.silent(), (2, 3));
        silence.forget();
        assert_eq!((silence.fresh(), silence.watched(), silence.silent()), (0, 3, (0, 3)));
    }

    /// A member that wavers for ever is one entry each time it falls silent, and each of them goes.
    #[test]
    fn it_remembers_no_more_than_an_interval() {
        let mut silence = Silence::new(1);
        for now in 0..1000 {
            silence.age(at(now).checked_sub(at(10)));
            silence.note(0, now % 2 == 0, at(now));
            assert!(silence.order.len() <= 6, "{}", silence.order.len());
        }
    }
}
