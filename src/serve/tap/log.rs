//! The query log: one line for one of so many queries, beside the lines of transitions.

use hickory_proto::op::Message;
use tokio::sync::mpsc::Receiver;
use tracing::info;

use super::Exchange;
use crate::zone::type_name;

/// Logs what comes in, until nothing more can come.
pub(super) async fn run(mut exchanges: Receiver<Exchange>) {
    while let Some(exchange) = exchanges.recv().await {
        log(&exchange);
    }
}

fn log(exchange: &Exchange) {
    let Exchange { way, query, reply, .. } = exchange;
    let Ok(read) = Message::from_vec(reply) else { return };
    let asked = Message::from_vec(query).ok().and_then(|query| query.queries.into_iter().next());
    let question = asked
        .map(|asked| format!("{} {} {}", asked.name(), asked.query_class(), type_name(asked.query_type())));
    let (client, transport) = (way.from, way.transport.as_str());
    let (rcode, truncated) = (u16::from(read.metadata.response_code), read.metadata.truncation);
    info!(%client, transport, question, rcode, answers = read.answers.len(), bytes = reply.len(), truncated, "query");
}
