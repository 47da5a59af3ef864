//! TLS towards clients: what is agreed on, and which certificate they are shown.
//!
//! | RFC | what | status |
//! |---|---|---|
//! | 7858 §3.1 | a port of its own, TLS from the first byte | whole |
//! | 7858 §3.2, 8310 §5 | clients may hold the server to its certificate | whole: it is shown as configured |
//! | 8310 §9 | TLS 1.2 or later | 1.2 and 1.3, on ring |
//! | 7301 §3.2 | ALPN: "dot", "h2", "h3", "doq" | whole; who offers none is served, who offers others alone is not |
//! | 9001 §8.1 | ALPN within QUIC | whole: who offers none is not served either |
//! | 8446 §8 | 0-RTT data can be replayed | none is taken |

use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::Shown;

/// How TLS begins for what ALPN calls `protocol`.
pub(super) fn server(shown: &Shown, protocol: &[u8]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = match versions {
        Ok(versions) => versions,
        Err(e) => unreachable!("ring speaks TLS 1.2 and 1.3: {e}"),
    };
    let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::new(shown.clone()));
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}
