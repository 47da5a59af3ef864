//! Trouble that lasts is told once, not once a try.

use std::time::Duration;

use tokio::time::Instant;

/// Trouble is over once there was none for so long: it comes and goes quickly while descriptors run out.
const CALM: Duration = Duration::from_secs(60);

/// Since when there is no trouble.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    last: Option<Instant>,
}

impl Trouble {
    /// There is trouble; whether it is new.
    pub(super) fn is_news(&mut self) -> bool {
        let now = Instant::now();
        self.last.replace(now).is_none_or(|last| now - last >= CALM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_is_news_again_after_a_calm_minute() {
        let mut trouble = Trouble::default();
        let mut told = Vec::new();
        for pause in [0, 59, 59, 60] {
            tokio::time::advance(Duration::from_secs(pause)).await;
            told.push(trouble.is_news());
        }
        assert_eq!(told, [true, false, false, true]);
    }
}
