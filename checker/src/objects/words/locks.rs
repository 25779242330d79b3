//! Explains contradictions on a lock.

use super::super::Rule;
use super::super::verify::end_of_hold;
use super::Story;
use super::calls::claim;
use crate::verdict::ViolationKind;

impl Story<'_> {
    pub(super) fn lock(&self, rule: &Rule) -> (ViolationKind, String, Vec<String>) {
        match rule {
            Rule::TwoHolders { one, two } => {
                let summary = format!("{} and {} held the lock at the same time.", self.holder(*one), self.holder(*two));
                (ViolationKind::TwoHolders, summary, [one, two].into_iter().map(|&p| self.held(p)).collect())
            }
            Rule::ReleasedWhileHeld { held, release } => {
                let summary = format!("{} released the lock while {} held it.", self.holder(*release), self.holder(*held));
                (ViolationKind::NotHeld, summary, vec![self.held(*held)])
            }
            Rule::HeldByToken { earlier, later } => {
                let summary =
                    format!("{} got the lock while {}, whose token is lower, still held it.", self.holder(*later), self.holder(*earlier));
                (ViolationKind::TwoHolders, summary, vec![self.held(*earlier), format!("{} was over before that", self.id(*later))])
            }
            Rule::TokenWentBack { before, after } => {
                let summary = format!(
                    "{} got token {}, and later {} got token {}, which is not higher.",
                    self.holder(*before),
                    self.token(*before),
                    self.holder(*after),
                    self.token(*after)
                );
                let step = format!("{} was invoked after {} was over", self.id(*after), self.id(*before));
                (ViolationKind::TokenWentBack, summary, vec![step])
            }
            Rule::SameToken { one, two } => {
                let summary = format!("{} and {} both got token {}.", self.holder(*one), self.holder(*two), self.token(*one));
                (ViolationKind::TokenWentBack, summary, vec![])
            }
            Rule::NotHeld { release } => {
                let summary = format!("{} released a lock that it did not hold.", self.holder(*release));
                let step = "By then more releases had completed than acquires had been invoked".to_owned();
                (ViolationKind::NotHeld, summary, vec![step])
            }
            _ => (ViolationKind::NotLinearizable, String::new(), vec![]),
        }
    }

    /// Describes an op of a lock: "op 3 of owner 7".
    fn holder(&self, place: u32) -> String {
        match claim(&self.op(place).call).and_then(|c| c.owner) {
            Some(owner) => format!("op {} of owner {owner}", self.op(place).id),
            None => self.id(place),
        }
    }

    fn token(&self, place: u32) -> String {
        claim(&self.op(place).call).and_then(|c| c.fence).map_or(String::new(), |token| token.to_string())
    }

    fn held(&self, acquire: u32) -> String {
        let id = self.id(acquire);
        match end_of_hold(self.question, acquire) {
            Some(release) => format!("{id} was acknowledged, and {} is the first that could have released it", self.id(release)),
            None => format!("{id} was acknowledged, and no op could have released it"),
        }
    }
}
