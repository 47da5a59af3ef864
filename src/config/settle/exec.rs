//! `exec = {…}`: a program, its arguments, and the port that they may want.

use serde_spanned::Spanned;

use super::Settler;
use crate::config::schema;
use crate::config::settings::{ExecCheck, Kind, Located, Warning};
use crate::report::{Code, Problem};

impl Settler<'_> {
    pub(super) fn exec(&mut self, exec: &schema::Exec) -> Option<Kind> {
        let at = self.at(&exec.command);
        let mut words = exec.command.get_ref().iter().cloned();
        let Some(program) = words.next() else {
            if !self.is_told(at.span.clone()) {
                let message = "`command` names no program";
                self.report.push(Problem::error(Code::ConfigBadValue, at, message));
            }
            return None;
        };
        let arguments: Vec<Located<String>> = words.map(|word| self.located(word)).collect();
        if exec.port.is_none() {
            self.refuse_unknown_port(&arguments);
        }
        Some(Kind::Exec(ExecCheck {
            program: self.path(Spanned::new(program.span(), program.into_inner().into())),
            arguments: arguments.into_iter().map(|argument| argument.value).collect(),
            port: exec.port,
            warning: match exec.warning {
                schema::Warning::Pass => Warning::Pass,
                schema::Warning::Fail => Warning::Fail,
            },
        }))
    }

    /// A record with an address tells no port.
    fn refuse_unknown_port(&mut self, arguments: &[Located<String>]) {
        for argument in arguments.iter().filter(|argument| argument.value.contains("{port}")) {
            let message = "no key tells the port that this argument wants";
            let problem = Problem::error(Code::ConfigMissingKey, argument.at.clone(), message);
            self.report.push(problem.help("add `port`; an SRV record's port comes before it"));
        }
    }
}
