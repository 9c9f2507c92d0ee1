//! Making values out of bytes. When the bytes are used up, everything is zero and empty.

/// The bytes that are left.
#[derive(Clone)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        byte
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Returns a number below `end`, 256 at most.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=199 => small.into(),
            200..=209 => u64::MAX,
            210..=219 => i64::MAX.unsigned_abs(),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    pub(crate) fn signed(&mut self) -> i64 {
        self.number().cast_signed()
    }

    /// Returns any float, the odd ones more often than chance would have it.
    pub(crate) fn float(&mut self) -> f64 {
        match self.byte() {
            whole @ 0..=99 => f64::from(whole) - 50.0,
            share @ 100..=199 => f64::from(share) / 200.0,
            200..=204 => f64::NAN,
            205..=209 => f64::INFINITY,
            210..=214 => f64::NEG_INFINITY,
            215..=219 => f64::MAX,
            220..=224 => f64::MIN_POSITIVE / 8.0,
            225..=229 => -0.0,
            230..=234 => 1e21,
            235..=239 => 999_999_999_999_999_900_000.0,
            _ => f64::from_bits(u64::from_le_bytes(std::array::from_fn(|_| self.byte()))),
        }
    }

    /// Returns up to 255 of the next bytes.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Returns a text, often one that a message may hold.
    pub(crate) fn text(&mut self) -> String {
        const KNOWN: [&str; 12] = [
            "ok",
            "vda",
            "/dev/vda",
            "0.2.3",
            "linux",
            " ",
            "<&>\u{2028}",
            "\u{0}\u{1f}\"\\",
            "disk",
            "healthy",
            "\u{e9}\u{1f600}",
            "unknown",
        ];
        self.text_among(&KNOWN)
    }

    /// Returns a text, often one of the known ones.
    pub(crate) fn text_among(&mut self, known: &[&str]) -> String {
        match self.byte() {
            0..=99 => String::new(),
            choice @ 100..=199 => known[usize::from(choice) % known.len()].to_owned(),
            _ => String::from_utf8_lossy(self.bytes()).into_owned(),
        }
    }
}
