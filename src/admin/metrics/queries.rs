//! Of queries: what came, over what, and what became of it.

use prometheus_client::metrics::MetricType::Counter;

use super::{Family, Sample, View};
use crate::serve::{Counted, Event, Transport};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "onstage_queries_received",
        help: "What came in as a query, over each transport",
        kind: Counter,
        draw: |view| events(view, Event::Received),
    },
    Family {
        name: "onstage_queries_dropped",
        help: "What was no query, or cut off, and got no reply",
        kind: Counter,
        draw: |view| events(view, Event::Dropped),
    },
    Family {
        name: "onstage_queries",
        help: "Queries that got a reply, by their type and its rcode",
        kind: Counter,
        draw: replies,
    },
    Family {
        name: "onstage_replies_truncated",
        help: "Replies that were truncated: the client has to ask over TCP",
        kind: Counter,
        draw: |view| events(view, Event::Truncated),
    },
    Family {
        name: "onstage_replies_limited",
        help: "Replies that the rate limit held back or cut",
        kind: Counter,
        draw: |view| events(view, Event::Limited),
    },
    Family {
        name: "onstage_replies_lost",
        help: "Replies that the kernel refused",
        kind: Counter,
        draw: |view| events(view, Event::Lost),
    },
    Family {
        name: "onstage_queries_with_cookie",
        help: "Queries with a valid DNS cookie",
        kind: Counter,
        draw: |view| events(view, Event::Known),
    },
    Family {
        name: "onstage_queries_untold",
        help: "Queries that dnstap or the query log should have been told of, and had no room for",
        kind: Counter,
        draw: |view| events(view, Event::Untold),
    },
];

/// How often something happened, over each transport.
fn events(view: &View, event: Event) -> Vec<Sample> {
    let sample = |transport: Transport| {
        let count = view.counters.queries.get(&Counted::Event(transport, event));
        Sample::new([("transport", transport.as_str())], count)
    };
    Transport::ALL.into_iter().map(sample).collect()
}

fn replies(view: &View) -> Vec<Sample> {
    let sample = |(what, count): (&Counted, u64)| match what {
        Counted::Reply(transport, kind) => {
            let labels =
                [("transport", transport.as_str()), ("type", &kind.record_type), ("rcode", &kind.rcode)];
            Some(Sample::new(labels, count))
        }
        Counted::Event(..) | Counted::Pool(_) => None,
    };
    view.counters.queries.iter().filter_map(sample).collect()
}
