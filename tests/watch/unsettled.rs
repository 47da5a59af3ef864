//! How long an answer may be kept, at every moment of a troubled hour.

use hickory_proto::op::Message;
use onstage::snapshot::Mode;

use super::*;
use crate::harness::with_edns;

/// The TTL of the zone, and `ttl-unsettled` as it is by default.
const ZONE: u32 = 30;
const SHORT: u32 = 5;

impl Watch {
    /// The TTLs that the pool's records have now, over every transport.
    fn ttls(&mut self) -> Vec<u32> {
        let plain = query("puppet.example.org", RecordType::A);
        let mut ttls = Vec::new();
        for via in [Via::Datagram, Via::Stream, Via::Encrypted] {
            for query in [plain.clone(), with_edns(plain.clone(), 1232, 0, 0)] {
                let reply = ask(self.reader.load(), &peer("127.0.0.1", via), &mut Rotation::new(0), &query);
                let reply = Message::from_vec(&reply.unwrap()).unwrap();
                ttls.extend(reply.answers.iter().map(|record| record.ttl));
            }
        }
        ttls.dedup();
        ttls
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_that_may_soon_be_wrong_is_kept_for_long() {
    const DEEDS: [Does; 6] =
        [Does::Pass, Does::Pass, Does::PassAfter(TIMEOUT), Does::Refuse, Does::Freeze, Does::Leave];
    let (mut watch, mut chance) = (Watch::begin([Does::Pass; 3]).await, fastrand::Rng::with_seed(4));
    let mut seen = [0; 2];
    while watch.began.elapsed() < 60 * MINUTE {
        watch.world.does(chance.usize(..3), DEEDS[chance.usize(..DEEDS.len())]);
        let until = Instant::now() + Duration::from_millis(chance.u64(..20_000));
        while let Ok(Some(event)) = timeout_at(until, watch.events.recv()).await {
            take(&mut watch.director, event, since(watch.began));
            let lineup = &watch.director.lineups()[0];
            let is_calm = lineup.outlook == Outlook::Settled && lineup.mode == Mode::Live;
            assert_eq!(watch.ttls(), [if is_calm { ZONE } else { SHORT }]);
            seen[usize::from(is_calm)] += 1;
        }
    }
    assert!(seen.iter().all(|&moments| moments > 100), "{seen:?}");
}
