//! What one probe found, with a reason out of a closed list.

use std::fmt;

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
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $text:literal,)*) => {
        /// Why a member cannot serve: the same words in logs, status and metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[doc = $doc])* $variant,)* }

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
        matches!(self, Self::ServiceState | Self::Overloaded | Self::OtherVersion)
    }

    /// Whether it is not one of the site's members at all, as far as its certificate tells. A new agent that meets such a
    /// one trusts it for good.
    pub const fn is_foreign(self) -> bool {
        matches!(self, Self::TlsUntrusted | Self::TlsWrongName)
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
    /// The TLS handshake failed, or the member answered it with an alert.
    TlsHandshake = "tls-handshake",
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
    /// The reply is no HTTP, or too long.
    BadReply = "bad-reply",
    /// A status code that is not among the accepted ones.
    HttpStatus = "http-status",
    /// The body is not what it must be.
    HttpBody = "http-body",
    /// The service says of itself that it is not running.
    ServiceState = "service-state",
    /// Who asks it waits for long, or is sent away.
    Overloaded = "overloaded",
    /// It serves another version of the site's code than most of its pool.
    OtherVersion = "other-version",
    /// The prober itself could not probe: no descriptor, no memory, no permission.
    Prober = "prober",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
