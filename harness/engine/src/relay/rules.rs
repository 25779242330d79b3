//! Which rules apply to which link, their random decisions, and the counters of their effects. Pure: time is an
//! argument, and each link has its own random stream.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use heckle_faults::{End, Link, LinkEffect};
use heckle_history::prng::{Pcg64, Seed};
use rand::RngExt;

use super::effect::{CountUnit, Evidence, MeasuredDelay};

/// Maximum number of ended faults whose evidence is kept; a run has a few hundred at most.
const MAX_ENDED_FAULTS: usize = 4096;
/// A frame held for reordering leaves after up to this many later ones …
const MAX_OVERTAKERS: u32 = 4;
/// … or after this long, so that a quiet link does not swallow it.
const MAX_HOLD_NS: u64 = 20_000_000;
/// Longest wait that the histogram can hold: an hour, in nanoseconds.
const MAX_WAIT_NS: u64 = 3_600_000_000_000;

/// Number of a link in the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkId(usize);

/// Key of an applied effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleKey(u64);

/// The kind of traffic in one direction, which determines the effects that may apply to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Messages between nodes: may be lost, duplicated or reordered.
    Messages,
    /// An ordered conversation with a client.
    Conversation,
    /// A byte stream of any protocol, in pieces as read from the socket. Counted in bytes.
    Bytes,
    /// The backward direction of a connection between nodes: only the reply to its handshake. It is affected
    /// only by a cut of the connection's own link, which silences the whole connection.
    Answers,
}

/// The rule that holds a frame while others overtake it, and the limits of the hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) rule: RuleKey,
    pub(super) overtakers: u32,
    pub(super) at_most_ns: u64,
}

/// A duplicate of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicate {
    /// Follows the first copy directly.
    Immediate(RuleKey),
    /// Held back, to arrive among later frames.
    Delayed(Hold),
}

/// The decision of the rules on a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrameAction {
    /// The frame is dropped.
    Drop,
    /// The frame is forwarded. `flip` is the position of the bit to flip, if any, counted from the start of
    /// the frame and modulo its length.
    Forward { wait_ns: u64, hold: Option<Hold>, copies: Vec<Duplicate>, flip: Option<u32> },
}

#[derive(Debug)]
struct Rule {
    fault: u64,
    effect: LinkEffect,
    links: Vec<LinkId>,
    since_ns: u64,
    did: Evidence,
    /// For a rate limit: the time at which each link has finished sending all bytes so far.
    free_at: BTreeMap<LinkId, u64>,
    waits: Option<Box<Histogram<u32>>>,
}

#[derive(Debug)]
struct LinkState {
    link: Link,
    dice: Pcg64,
    rules: Vec<RuleKey>,
    cut: bool,
}

/// All links and rules of a relay.
#[derive(Debug)]
pub(super) struct Rules {
    seed: Seed,
    counted: CountUnit,
    links: Vec<LinkState>,
    by_link: BTreeMap<Link, LinkId>,
    rules: BTreeMap<RuleKey, Rule>,
    next_key: u64,
    lifted: BTreeMap<u64, Evidence>,
}

impl Rules {
    pub(super) fn new(seed: Seed, counted: CountUnit) -> Rules {
        Rules { seed, counted, links: vec![], by_link: BTreeMap::new(), rules: BTreeMap::new(), next_key: 0, lifted: BTreeMap::new() }
    }

    /// Returns the id of a link. It is assigned on first use, since a rule may be applied before or after the first connection.
    pub(super) fn link(&mut self, link: Link) -> LinkId {
        *self.by_link.entry(link).or_insert_with(|| {
            let dice = self.seed.stream(&format!("relay/{link}"));
            self.links.push(LinkState { link, dice, rules: vec![], cut: false });
            LinkId(self.links.len() - 1)
        })
    }

    pub(super) fn apply(&mut self, fault: u64, links: &[Link], effect: LinkEffect, now: u64) -> RuleKey {
        let key = RuleKey(self.next_key);
        self.next_key += 1;
        let mut ids: Vec<LinkId> = links.iter().map(|l| self.link(*l)).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in &ids {
            self.links[id.0].rules.push(key);
            self.links[id.0].cut |= effect == LinkEffect::Cut;
        }
        let waits = matches!(effect, LinkEffect::Delay { .. })
            .then(|| Box::new(Histogram::new_with_bounds(1, MAX_WAIT_NS, 3).expect("these bounds and three digits are valid")));
        let did = Evidence { counted: self.counted, effects: vec![effect], ..Evidence::default() };
        self.rules.insert(key, Rule { fault, effect, links: ids, since_ns: now, did, free_at: BTreeMap::new(), waits });
        key
    }

    /// Removes the rules of a fault from their links, and returns each rule with its effect and links. The counters
    /// stay open until [`Rules::archive`].
    pub(super) fn remove_rules(&mut self, fault: u64) -> Vec<(RuleKey, LinkEffect, Vec<LinkId>)> {
        let taken: Vec<_> = self.rules.iter().filter(|(_, r)| r.fault == fault).map(|(k, r)| (*k, r.effect, r.links.clone())).collect();
        for (key, _, links) in &taken {
            for id in links {
                let state = &mut self.links[id.0];
                state.rules.retain(|k| k != key);
                state.cut = state.rules.iter().any(|k| self.rules[k].effect == LinkEffect::Cut);
            }
        }
        taken
    }

    /// Deletes the rules of a fault and keeps their evidence.
    pub(super) fn archive(&mut self, fault: u64) -> Evidence {
        let evidence = self.evidence(fault);
        if self.rules.values().any(|r| r.fault == fault) {
            self.rules.retain(|_, r| r.fault != fault);
            self.lifted.insert(fault, evidence.clone());
            while self.lifted.len() > MAX_ENDED_FAULTS {
                self.lifted.pop_first();
            }
        }
        evidence
    }

    /// Returns the evidence of a fault from all its rules, including those removed earlier.
    pub(super) fn evidence(&self, fault: u64) -> Evidence {
        let mut total = self.lifted.get(&fault).cloned().unwrap_or_default();
        for rule in self.rules.values().filter(|r| r.fault == fault) {
            total.add(&rule.did);
            if let Some(waits) = rule.waits.as_ref().filter(|w| !w.is_empty()) {
                let us = |quantile| waits.value_at_quantile(quantile) / 1_000;
                // If a fault has several delays, the longest is reported.
                let measured = MeasuredDelay { p50_us: us(0.5), p99_us: us(0.99), max_us: waits.max() / 1_000 };
                total.measured_delay = total.measured_delay.max(Some(measured));
            }
        }
        total
    }

    /// Whether a cut blocks this link.
    pub(super) fn is_cut(&self, link: LinkId) -> bool {
        self.links[link.0].cut
    }

    /// Whether a cut blocks any link to this end.
    pub(super) fn is_cut_off(&self, to: End) -> bool {
        self.links.iter().any(|state| state.cut && state.link.to == to)
    }

    /// Whether frames pass on this link without being changed or counted.
    pub(super) fn is_undisturbed(&self, link: LinkId) -> bool {
        self.links[link.0].rules.is_empty()
    }

    /// Whether a rule on this link has this effect.
    pub(super) fn has(&self, link: LinkId, wanted: impl Fn(LinkEffect) -> bool) -> bool {
        self.links[link.0].rules.iter().any(|k| wanted(self.rules[k].effect))
    }

    /// Makes the random decisions for one frame. `held_full` means that no more frames can be held.
    pub(super) fn decide(&mut self, link: LinkId, traffic: Traffic, held_full: bool) -> FrameAction {
        let LinkState { link, dice, rules, .. } = &mut self.links[link.0];
        let (mut wait_ns, mut hold, mut copies, mut flip) = (0u64, None, vec![], None);
        let messages = traffic == Traffic::Messages;
        for key in rules.iter() {
            let rule = self.rules.get_mut(key).expect("a rule on a link exists");
            match rule.effect {
                LinkEffect::Cut | LinkEffect::Slow { .. } | LinkEffect::Reset | LinkEffect::Hang => {}
                LinkEffect::Delay { delay_us, jitter_us } => {
                    wait_ns = wait_ns.saturating_add(draw_wait(dice, delay_us, jitter_us));
                }
                LinkEffect::Loss { percent } => {
                    if draw_chance(dice, percent) {
                        rule.did.dropped_frames += 1;
                        rule.count_hit(*link, 1);
                        return FrameAction::Drop;
                    }
                }
                LinkEffect::Duplicate { percent } => {
                    if messages && draw_chance(dice, percent) {
                        let later = dice.random::<bool>() && !held_full;
                        copies.push(if later { Duplicate::Delayed(draw_hold(dice, *key)) } else { Duplicate::Immediate(*key) });
                    }
                }
                LinkEffect::Corrupt { percent } => {
                    // Flip at most one bit: two flips could cancel each other out.
                    if flip.is_none() && draw_chance(dice, percent) {
                        flip = Some(dice.random());
                        rule.did.corrupted_frames += 1;
                        rule.count_hit(*link, 1);
                    }
                }
                LinkEffect::Reorder { percent } => {
                    if messages && draw_chance(dice, percent) && !held_full {
                        hold = Some(draw_hold(dice, *key));
                    }
                }
            }
        }
        FrameAction::Forward { wait_ns, hold, copies, flip }
    }

    /// Returns the delay of a handshake or of raw bytes, which are never lost, duplicated or reordered.
    pub(super) fn draw_delay(&mut self, link: LinkId) -> u64 {
        let LinkState { dice, rules, .. } = &mut self.links[link.0];
        rules.iter().fold(0, |wait, key| match self.rules[key].effect {
            LinkEffect::Delay { delay_us, jitter_us } => wait.saturating_add(draw_wait(dice, delay_us, jitter_us)),
            LinkEffect::Cut
            | LinkEffect::Loss { .. }
            | LinkEffect::Duplicate { .. }
            | LinkEffect::Reorder { .. }
            | LinkEffect::Slow { .. }
            | LinkEffect::Corrupt { .. }
            | LinkEffect::Reset
            | LinkEffect::Hang => wait,
        })
    }

    /// Returns the lowest rate limit on this link, in bytes per second.
    pub(super) fn rate(&self, link: LinkId) -> Option<u64> {
        let rate = |key: &RuleKey| match self.rules[key].effect {
            LinkEffect::Slow { bytes_per_s } => Some(bytes_per_s.max(1)),
            LinkEffect::Cut
            | LinkEffect::Delay { .. }
            | LinkEffect::Loss { .. }
            | LinkEffect::Duplicate { .. }
            | LinkEffect::Reorder { .. }
            | LinkEffect::Corrupt { .. }
            | LinkEffect::Reset
            | LinkEffect::Hang => None,
        };
        self.links[link.0].rules.iter().filter_map(rate).min()
    }

    /// Reserves time to send this many bytes on a slow link. Returns the time at which bytes that could leave at
    /// `due` have been sent.
    pub(super) fn reserve_send_time(&mut self, link: LinkId, bytes: usize, due: u64) -> u64 {
        let mut last = due;
        for key in &self.links[link.0].rules {
            let rule = self.rules.get_mut(key).expect("a rule on a link exists");
            if let LinkEffect::Slow { bytes_per_s } = rule.effect {
                let took = (bytes as u128 * 1_000_000_000 / u128::from(bytes_per_s.max(1))).min(u128::from(u64::MAX)) as u64;
                let free_at = rule.free_at.entry(link).or_default();
                *free_at = due.max(*free_at).saturating_add(took);
                last = last.max(*free_at);
            }
        }
        last
    }

    /// Counts a frame (or bytes) that left, and how long it waited for the delays that were active when it arrived.
    pub(super) fn count_departure(&mut self, link: LinkId, arrived: u64, now: u64, amount: u64) {
        let LinkState { link, rules, .. } = &self.links[link.0];
        for key in rules {
            let rule = self.rules.get_mut(key).expect("a rule on a link exists");
            rule.did.passed_frames += amount;
            if arrived < rule.since_ns {
                continue;
            }
            if let Some(waits) = &mut rule.waits {
                waits.saturating_record(now.saturating_sub(arrived));
                rule.did.delayed_frames += amount;
                rule.count_hit(*link, amount);
            } else if matches!(rule.effect, LinkEffect::Slow { .. }) {
                rule.did.slowed_frames += amount;
                rule.count_hit(*link, amount);
            }
        }
    }

    /// Counts frames blocked by cuts on the link `on`: for rule `only` if given, otherwise for every cut on that link.
    pub(super) fn count_blocked(&mut self, on: LinkId, only: Option<RuleKey>, gone: u64, held: u64) {
        let strikes = match self.counted {
            CountUnit::Frames => gone + held,
            CountUnit::Bytes => u64::from(held > 0),
        };
        let (link, counted) = (self.links[on.0].link, self.counted);
        self.for_each_cut(on, only, strikes, |did| {
            did.blocked_frames += gone + held;
            did.held_frames += held;
            if counted == CountUnit::Bytes {
                *did.bytes.entry(link).or_default() += held;
            }
        });
    }

    /// Counts a connection that was dialled during a cut.
    pub(super) fn count_blocked_connection(&mut self, on: LinkId) {
        self.for_each_cut(on, None, 1, |did| did.blocked_connections += 1);
    }

    fn for_each_cut(&mut self, on: LinkId, only: Option<RuleKey>, strikes: u64, count: impl Fn(&mut Evidence)) {
        let LinkState { link, rules, .. } = &self.links[on.0];
        for key in rules.iter().filter(|k| strikes > 0 && only.is_none_or(|o| o == **k)) {
            let rule = self.rules.get_mut(key).expect("a rule on a link exists");
            if rule.effect == LinkEffect::Cut {
                count(&mut rule.did);
                *rule.did.strikes.entry(*link).or_default() += strikes;
            }
        }
    }

    /// Counts a frame that left after a later one. Ignores a rule that has been removed.
    pub(super) fn count_reordered(&mut self, rule: RuleKey, on: LinkId) {
        self.count_hit(rule, on, |did| did.reordered_frames += 1);
    }

    /// Counts a duplicate that left.
    pub(super) fn count_duplicate(&mut self, rule: RuleKey, on: LinkId) {
        self.count_hit(rule, on, |did| did.duplicated_frames += 1);
    }

    /// Counts delayed frames that left early, at the end of their delay.
    pub(super) fn count_early_release(&mut self, rule: RuleKey, on: LinkId, frames: u64) {
        if frames > 0 {
            self.count_hit_by(rule, on, frames, |did| did.released_early += frames);
        }
    }

    /// Counts one reset connection: for rule `only` if given, otherwise for every rule that resets new connections.
    pub(super) fn count_reset(&mut self, on: &[LinkId], only: Option<RuleKey>) {
        let counts = |key: RuleKey, effect| only.map_or(effect == LinkEffect::Reset, |only| key == only);
        self.count_connection(on, counts, |did| did.resets += 1);
    }

    /// Counts one connection that is left unanswered.
    pub(super) fn count_hung(&mut self, on: &[LinkId]) {
        self.count_connection(on, |_, effect| effect == LinkEffect::Hang, |did| did.hung_connections += 1);
    }

    /// Counts one connection, once for each rule that affected it, no matter on how many of its links.
    fn count_connection(&mut self, on: &[LinkId], counts: impl Fn(RuleKey, LinkEffect) -> bool, count: impl Fn(&mut Evidence)) {
        let mut struck: Vec<(RuleKey, LinkId)> = vec![];
        for id in on {
            for key in &self.links[id.0].rules {
                if counts(*key, self.rules[key].effect) && struck.iter().all(|(k, _)| k != key) {
                    struck.push((*key, *id));
                }
            }
        }
        for (key, id) in struck {
            self.count_hit(key, id, &count);
        }
    }

    fn count_hit(&mut self, rule: RuleKey, on: LinkId, count: impl Fn(&mut Evidence)) {
        if let Some(rule) = self.rules.get_mut(&rule) {
            count(&mut rule.did);
            *rule.did.strikes.entry(self.links[on.0].link).or_default() += 1;
        }
    }

    fn count_hit_by(&mut self, rule: RuleKey, on: LinkId, amount: u64, count: impl Fn(&mut Evidence)) {
        if let Some(rule) = self.rules.get_mut(&rule) {
            count(&mut rule.did);
            rule.count_hit(self.links[on.0].link, amount);
        }
    }
}

impl Rule {
    /// Counts a link as affected: by `amount` frames, or by one piece of `amount` bytes.
    fn count_hit(&mut self, link: Link, amount: u64) {
        let strikes = self.did.strikes.entry(link).or_default();
        match self.did.counted {
            CountUnit::Frames => *strikes += amount,
            CountUnit::Bytes => {
                *strikes += 1;
                *self.did.bytes.entry(link).or_default() += amount;
            }
        }
    }
}

fn draw_chance(dice: &mut Pcg64, percent: f64) -> bool {
    dice.random::<f64>() * 100.0 < percent
}

fn draw_wait(dice: &mut Pcg64, delay_us: u64, jitter_us: u64) -> u64 {
    let jitter_ns = if jitter_us == 0 { 0 } else { dice.random_range(0..=jitter_us.saturating_mul(1_000)) };
    delay_us.saturating_mul(1_000).saturating_add(jitter_ns)
}

fn draw_hold(dice: &mut Pcg64, rule: RuleKey) -> Hold {
    Hold { rule, overtakers: dice.random_range(1..=MAX_OVERTAKERS), at_most_ns: MAX_HOLD_NS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_faults::Node;

    fn decisions(seed: u64, link: Link) -> Vec<FrameAction> {
        let mut rules = Rules::new(Seed(seed), CountUnit::Frames);
        let id = rules.link(link);
        rules.apply(1, &[link], LinkEffect::Delay { delay_us: 10, jitter_us: 1_000 }, 0);
        rules.apply(1, &[link], LinkEffect::Duplicate { percent: 30.0 }, 0);
        rules.apply(2, &[link], LinkEffect::Reorder { percent: 30.0 }, 0);
        (0..100).map(|_| rules.decide(id, Traffic::Messages, false)).collect()
    }

    #[test]
    fn the_seed_and_the_link_determine_every_decision() {
        let (a, b) = (Link::between(Node(1), Node(2)), Link::between(Node(2), Node(1)));
        assert_eq!(decisions(7, a), decisions(7, a));
        assert_ne!(decisions(7, a), decisions(8, a));
        assert_ne!(decisions(7, a), decisions(7, b));
    }

    #[test]
    fn the_loss_rate_matches_the_setting() {
        const FRAMES: u32 = 50_000;
        let link = Link::between(Node(1), Node(2));
        for seed in 0..8 {
            for percent in [0.0, 1.0, 5.0, 20.0, 50.0, 100.0] {
                let mut rules = Rules::new(Seed(seed), CountUnit::Frames);
                let id = rules.link(link);
                rules.apply(1, &[link], LinkEffect::Loss { percent }, 0);
                let lost = (0..FRAMES).filter(|_| rules.decide(id, Traffic::Messages, false) == FrameAction::Drop).count();
                let (p, n) = (percent / 100.0, f64::from(FRAMES));
                // Five standard deviations of the binomial: one false alarm in two million.
                let off = (lost as f64 - n * p).abs();
                assert!(off <= 5.0 * (n * p * (1.0 - p)).sqrt(), "seed {seed}: {lost} of {n} lost, asked {percent} %");
                assert_eq!(rules.archive(1).dropped_frames, lost as u64);
            }
        }
    }

    #[test]
    fn a_cut_ends_with_its_last_rule() {
        let link = Link::between(Node(1), Node(2));
        let mut rules = Rules::new(Seed(1), CountUnit::Frames);
        let id = rules.link(link);
        rules.apply(1, &[link, link], LinkEffect::Cut, 0);
        rules.apply(2, &[link], LinkEffect::Cut, 0);
        rules.count_blocked(id, None, 3, 0);
        for (fault, still_cut) in [(1, true), (2, false)] {
            rules.remove_rules(fault);
            assert_eq!((rules.archive(fault).blocked_frames, rules.is_cut(id)), (3, still_cut));
        }
        assert!(rules.is_undisturbed(id));
        assert_eq!(rules.archive(1).blocked_frames, 3, "the evidence is kept");
    }

    #[test]
    fn client_conversations_are_never_duplicated_or_reordered() {
        let link: Link = "clients>n1".parse().unwrap();
        let mut rules = Rules::new(Seed(1), CountUnit::Frames);
        let id = rules.link(link);
        rules.apply(1, &[link], LinkEffect::Duplicate { percent: 100.0 }, 0);
        rules.apply(1, &[link], LinkEffect::Reorder { percent: 100.0 }, 0);
        assert_eq!(
            rules.decide(id, Traffic::Conversation, false),
            FrameAction::Forward { wait_ns: 0, hold: None, copies: vec![], flip: None }
        );
    }
}
