//! Bytes for fuzzing: the same ones in each ordinary test run; a fuzzer's own below `cargo bolero test`.

use std::cell::Cell;

use bolero::{Driver, ValueGenerator, produce};

use super::random::Random;

/// Generates bytes.
#[derive(Default)]
pub(crate) struct Bytes {
    next: Cell<u64>,
}

impl ValueGenerator for Bytes {
    type Output = Vec<u8>;

    fn generate<D: Driver>(&self, driver: &mut D) -> Option<Vec<u8>> {
        if std::env::var_os("BOLERO_LIBTEST_HARNESS").is_some() {
            return produce::<Vec<u8>>().generate(driver);
        }
        self.next.set(self.next.get() + 1);
        let mut random = Random::new(self.next.get());
        let n = random.below(60);
        Some((0..n).map(|_| u8::try_from(random.below(256)).unwrap()).collect())
    }
}

/// A text of the pieces that bytes choose; the last ones stand for themselves.
pub(crate) fn text(bytes: &[u8], pieces: &[&str]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match pieces.get(usize::from(*byte) % (pieces.len() + 8)) {
            Some(piece) => text.push_str(piece),
            None => text.push(char::from(*byte)),
        }
    }
    text
}
