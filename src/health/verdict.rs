//! What one probe found, with a reason out of a closed list.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Load;

/// What one probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The member can serve.
    Pass,
    /// It cannot, as far as this probe saw.
    Fail(Reason),
    /// It says itself that it is starting or stopping, or its kernel does, which closed the connection and refuses the
    /// next: no need to ask again.
    Leaving(Reason),
}

impl Verdict {
    /// Why it is no pass.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Pass => None,
            Self::Fail(reason) | Self::Leaving(reason) => Some(reason),
        }
    }
}

/// What a member told of itself besides whether it can serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Which version of the site's code it serves.
    pub version: Option<String>,
    /// How busy it is.
    pub load: Option<Load>,
    /// When the certificate that it showed expires, in seconds of Unix time.
    pub valid_until: Option<u32>,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal,)*) => {
        /// Why a member cannot serve: the same words in logs, status and metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason { $($(#[doc = $doc])* #[serde(rename = $text)] $variant,)* }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

impl Reason {
    /// Whether the member answers all the same, and what is wrong may be wrong with all of them at once: a database
    /// or a deployment that they share, or what the prober may ask them.
    pub const fn is_doubt(self) -> bool {
        matches!(
            self,
            // The member says itself what is wrong: with its database, its code, its load, its settings. These are what the
            // members of a site have in common.
            Self::ServiceState
                | Self::DatabaseDown
                | Self::DatabaseError
                | Self::Overloaded
                | Self::CatalogFailed
                | Self::OtherVersion
                | Self::Unavailable
                | Self::HttpStatus
                | Self::HttpHeader
                | Self::HttpBody
                // It does not like who asks, which is wrong with the probe as likely as not: its certificate has expired,
                // or a new auth.conf is everywhere. Agents may be served all the same.
                | Self::TlsAlert
                | Self::Forbidden
                | Self::Login
        )
        // All others are the member's own: nobody is there, or does not get to the end; agents would turn away from its
        // certificate; or it must not be answered, as a CA of its own, to which a new agent would be bound for good.
    }

    /// Whether it is not one of the site's members at all, as far as its certificate and its CA tell. A new agent that meets such a
    /// one trusts it for good.
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::TlsUntrusted | Self::TlsWrongName | Self::WrongCa)
    }
}

reasons! {
    /// Nothing listens: the member's kernel refused the connection.
    Refused = "refused",
    /// The network says there is no way to it.
    Unreachable = "unreachable",
    /// No answer to the connection attempt.
    ConnectTimeout = "connect-timeout",
    /// The connection was accepted, the TLS handshake did not end: what a frozen process looks like.
    TlsTimeout = "tls-timeout",
    /// The TLS handshake failed: what was said is no TLS, or none that can be spoken.
    TlsHandshake = "tls-handshake",
    /// The member broke TLS off with an alert: it wants a certificate, or another one, or what we speak is not for it.
    TlsAlert = "tls-alert",
    /// The certificate does not lead to the site's CA.
    TlsUntrusted = "tls-untrusted",
    /// The certificate does not carry the name that agents use.
    TlsWrongName = "tls-wrong-name",
    /// The certificate is not valid now.
    TlsExpired = "tls-expired",
    /// The request was sent, the reply did not end in time.
    ReplyTimeout = "reply-timeout",
    /// The connection ended before the reply did.
    Closed = "closed",
    /// The reply is not in the protocol that was spoken, or too long.
    BadReply = "bad-reply",
    /// 503: it cannot serve anybody now.
    Unavailable = "unavailable",
    /// 401 or 403: it does not serve whoever asks as the probe does.
    Forbidden = "forbidden",
    /// Another status code that is not among the accepted ones.
    HttpStatus = "http-status",
    /// A header is missing, or is not what it must be.
    HttpHeader = "http-header",
    /// The body is not what it must be.
    HttpBody = "http-body",
    /// The service says of itself that it is not running.
    ServiceState = "service-state",
    /// The server does not let the check's user in, or does not prove that it knows its password.
    Login = "login",
    /// Who asks it waits for long, or is sent away: it has no room for more.
    Overloaded = "overloaded",
    /// Asked for a catalog, it says that it cannot compile one.
    CatalogFailed = "catalog-failed",
    /// It is under maintenance.
    Maintenance = "maintenance",
    /// Its database does not answer.
    DatabaseDown = "database-down",
    /// The database answers with an error.
    DatabaseError = "database-error",
    /// It is not what the pool is for: no CA; a primary where a replica is wanted, or the other way round.
    WrongRole = "wrong-role",
    /// It hands out another CA than the site's.
    WrongCa = "wrong-ca",
    /// It serves another version of the site's code than most of its pool.
    OtherVersion = "other-version",
    /// The check's command ended with another exit status than that of a pass.
    ExecStatus = "exec-status",
    /// The prober itself could not probe: no descriptor, no memory, no permission, no such command.
    Prober = "prober",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
