//! Which texts goyaml takes for a timestamp: what Go's `time.Parse` reads with the layouts of goyaml's
//! `resolve.go`.

/// Whether a plain scalar is a timestamp.
pub(super) fn is_timestamp(text: &str) -> bool {
    Rest(text.as_bytes()).timestamp().is_some()
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn timestamp(&mut self) -> Option<()> {
        let (year, rest) = self.0.split_at_checked(4)?;
        if !year.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let year = std::str::from_utf8(year).ok()?.parse().ok()?;
        self.0 = rest;
        self.literal(b'-')?;
        let month = self.number(1..=12)?;
        self.literal(b'-')?;
        self.number(1..=days(year, month))?;
        match self.0 {
            [] => {}
            [b'T' | b't', rest @ ..] => {
                self.0 = rest;
                self.time()?;
                self.zone()?;
            }
            [b' ', ..] => {
                let spaces = self.0.iter().take_while(|byte| **byte == b' ');
                self.0 = &self.0[spaces.count()..];
                self.time()?;
            }
            _ => return None,
        }
        self.0.is_empty().then_some(())
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// One digit, or two.
    fn number(&mut self, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let length = self.0.iter().take(2).take_while(|b| b.is_ascii_digit());
        let (digits, rest) = self.0.split_at(length.count());
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        self.0 = rest;
        range.contains(&number).then_some(number)
    }

    fn time(&mut self) -> Option<()> {
        self.number(0..=23)?;
        self.literal(b':')?;
        self.number(0..=59)?;
        self.literal(b':')?;
        self.number(0..=59)?;
        if let [b'.' | b',', b'0'..=b'9', ..] = self.0 {
            let digits = self.0[1..].iter().take_while(|b| b.is_ascii_digit());
            self.0 = &self.0[1 + digits.count()..];
        }
        Some(())
    }

    /// `Z`, or hours and minutes, which Go takes up to 24 and 60.
    fn zone(&mut self) -> Option<()> {
        if self.literal(b'Z').is_some() {
            return Some(());
        }
        let [b'+' | b'-', h1, h2, b':', m1, m2, rest @ ..] = self.0 else {
            return None;
        };
        let within = |digits: [u8; 2], most: u8| {
            digits.iter().all(u8::is_ascii_digit)
                && (digits[0] - b'0') * 10 + (digits[1] - b'0') <= most
        };
        let fits = within([*h1, *h2], 24) && within([*m1, *m2], 60);
        self.0 = rest;
        fits.then_some(())
    }
}
