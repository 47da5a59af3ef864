//! The play: what happens to the masters, and what the server makes of it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::stage::{MASTERS, NAME, PATIENCE, Stage, names};
use super::{Failure, Validity, addresses, say};
use crate::health::Observed;

/// How often the audience asks the server.
const GLANCE: Duration = Duration::from_millis(5);

pub(super) struct Play {
    stage: Stage,
    /// Who should be answered, by master.
    live: [bool; 3],
}

/// What happens to a master.
#[derive(Clone, Copy)]
enum Act {
    Crash,
    Freeze,
    Return,
    WrongCertificate,
}

impl Play {
    pub(super) fn new(stage: Stage) -> Self {
        Self { stage, live: [true; 3] }
    }

    /// Every act in its order.
    pub(super) async fn perform(&mut self) -> Result<(), Failure> {
        self.announce()?;
        self.expect_answer(Instant::now()).await?;
        self.show().await?;
        for (master, act) in [
            (1, Act::Crash),
            (2, Act::Freeze),
            (1, Act::Return),
            (2, Act::Return),
            (0, Act::WrongCertificate),
        ] {
            self.act(master, act).await?;
        }
        Ok(())
    }

    /// The end.
    pub(super) async fn close(self) {
        self.stage.strike().await;
    }

    fn announce(&self) -> io::Result<()> {
        let port = self.stage.server.port();
        say(
            "Three masters on loopback, each with a certificate of one CA, and an onstage that watches them.",
        )?;
        say("Ask it yourself, in another terminal:\n")?;
        say(&format!("    dig @127.0.0.1 -p {port} {NAME} +short"))?;
        say(&format!("    host -p {port} {NAME} 127.0.0.1"))?;
        say(&format!("    onstage status --watch -c {}", self.stage.config().display()))?;
        match self.stage.daemon.http_addr() {
            Some(page) => say(&format!("\nor look at http://{page}/ in a browser.\n")),
            None => Ok(()),
        }
    }

    async fn act(&mut self, master: usize, act: Act) -> Result<(), Failure> {
        let began = Instant::now();
        say(&format!("\n>> {}", act.told(MASTERS[master])))?;
        self.inflict(master, act).await?;
        self.live[master] = matches!(act, Act::Return);
        let took = self.expect_answer(began).await?;
        let seconds = took.as_secs_f64();
        match self.reason(master) {
            Some(reason) => say(&format!("   left the answer after {seconds:.2} s: {reason}")),
            None => say(&format!("   is answered again after {seconds:.2} s")),
        }?;
        self.show().await
    }

    async fn inflict(&mut self, master: usize, act: Act) -> Result<(), Failure> {
        let certificate = names(MASTERS[master]);
        let master = &mut self.stage.masters[master];
        match act {
            Act::Crash => master.crash().await,
            Act::Freeze => master.freeze(),
            Act::Return => master.come_back()?,
            Act::WrongCertificate => {
                master.present(self.stage.ca.issue(&certificate[..1], Validity::Current)?);
            }
        }
        Ok(())
    }

    /// Waits until the server answers exactly the live masters; how long that was since `began`.
    async fn expect_answer(&self, began: Instant) -> Result<Duration, Failure> {
        let mut wanted: Vec<IpAddr> = MASTERS
            .iter()
            .zip(self.live)
            .filter(|&(_, live)| live)
            .map(|(&address, _)| address.into())
            .collect();
        wanted.sort();
        loop {
            let mut answered = addresses(self.stage.server, NAME).await?;
            answered.sort();
            if answered == wanted {
                return Ok(began.elapsed());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("after {PATIENCE:?} the answer is {answered:?}, not {wanted:?}").into());
            }
            sleep(GLANCE).await;
        }
    }

    /// Why a master is not answered.
    fn reason(&self, master: usize) -> Option<String> {
        let probe = self
            .stage
            .plan
            .probes
            .iter()
            .position(|probe| probe.target.ip() == IpAddr::V4(MASTERS[master]))?;
        match self.stage.daemon.views().borrow()[probe] {
            Observed::Down { reason, .. } => Some(reason.to_string()),
            _ => None,
        }
    }

    /// What `host` prints.
    async fn show(&self) -> Result<(), Failure> {
        say("   # host puppet")?;
        for address in addresses(self.stage.server, NAME).await? {
            say(&format!("   {NAME} has address {address}"))?;
        }
        Ok(())
    }
}

impl Act {
    fn told(self, master: Ipv4Addr) -> String {
        match self {
            Self::Crash => format!("{master} crashes: its kernel refuses connections."),
            Self::Freeze => {
                format!("{master} freezes: its kernel accepts connections, nobody speaks on them.")
            }
            Self::Return => format!("{master} comes back."),
            Self::WrongCertificate => {
                format!("{master} is set up anew, and its certificate lacks the name {NAME}.")
            }
        }
    }
}
