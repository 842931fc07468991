//! How much is measured.

use super::contender::{Contender, Tokens};

/// How many requests each contender gets, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often each contender has its turn.
    pub rounds: usize,
    /// How many requests a turn has.
    pub per_round: usize,
    /// How many requests come before anything is measured: until then V8 still optimises.
    pub warm_up: usize,
    /// Envoy's workers.
    pub workers: u32,
    /// Connections to each listener, each with one request at a time.
    pub callers: usize,
}

// === impl Plan ===

impl Plan {
    /// For the published results.
    pub fn full() -> Self {
        Self { rounds: 160, per_round: 100, warm_up: 4000, workers: 1, callers: 1 }
    }

    /// For a first look.
    pub fn quick() -> Self {
        Self { rounds: 28, per_round: 80, warm_up: 800, ..Self::full() }
    }

    /// For two modules, in each Envoy. Short turns, so that what else the machine does is the same in all turns of a
    /// round; a short warm-up, because there are several Envoys.
    pub fn comparison(rounds: usize) -> Self {
        Self { rounds, per_round: 50, warm_up: 5000, ..Self::full() }
    }

    /// Requests of one turn of this contender.
    pub fn turn(&self, contender: &Contender) -> usize {
        if contender.slow { (self.per_round / 10).max(1) } else { self.per_round }
    }

    /// Requests before anything is measured.
    pub fn warm_up(&self, contender: &Contender) -> usize {
        let warm_up = if contender.slow { self.warm_up / 10 } else { self.warm_up };
        match contender.tokens {
            Tokens::Same(_) | Tokens::Fresh(_) => warm_up,
            // All of them once, so that whatever is kept of a token is there.
            Tokens::Ring(_, count) => warm_up.max(count),
        }
    }

    /// All requests of this contender.
    pub fn requests(&self, contender: &Contender) -> usize {
        self.warm_up(contender) + self.rounds * self.turn(contender)
    }
}
