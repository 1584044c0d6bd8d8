//! What a render may use, so that hostile templates end soon and with a clear error.

use crate::render::func::Failure;

/// What a call of a function costs: about as long as this many nodes.
pub(super) const CALL_STEPS: usize = 8;
/// What executing another template costs, its scope included.
pub(super) const TEMPLATE_STEPS: usize = 16;
/// What comparing or scanning texts costs: a step for so many bytes.
pub(super) const BYTES_A_STEP: usize = 64;

/// The limits of one render: all templates of a chart and its subcharts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes, commands and elements that are evaluated; a call of a function counts as several. A step
    /// takes about 25 ns.
    pub steps: u64,
    /// Bytes of everything that is printed or built, whether it is still in use or not.
    pub bytes: usize,
    /// Templates that are being executed within each other, by `template`, `include` or `tpl`.
    pub depth: usize,
    /// Levels of control structures and parentheses within one template.
    pub nesting: usize,
    /// Such levels of all templates that are being executed within each other, together.
    pub levels: usize,
}

impl Default for Limits {
    /// 32 million steps, 192 MiB, 3000 templates within each other, 500 levels in one of them and
    /// 30,000 in all.
    ///
    /// Of 480 public charts the most demanding one takes a twelfth of the steps and an eighth of the
    /// bytes. Helm itself stops when a template includes itself more than a thousand times.
    fn default() -> Self {
        Self {
            steps: 32_000_000,
            bytes: 192 << 20,
            depth: 3000,
            nesting: 500,
            levels: 30_000,
        }
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: Limits,
    steps: u64,
    bytes: usize,
    depth: usize,
    levels: usize,
    reported: bool,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            steps: limits.steps,
            bytes: limits.bytes,
            depth: 0,
            levels: 0,
            reported: false,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn step(&mut self, steps: usize) -> Result<(), Failure> {
        match self
            .steps
            .checked_sub(u64::try_from(steps).unwrap_or(u64::MAX))
        {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Failure::Limit(format!(
                "the render takes more than {} steps",
                self.limits.steps
            ))),
        }
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(Failure::Limit(format!(
                "the render prints and builds more than {} MiB",
                self.limits.bytes >> 20
            ))),
        }
    }

    /// The bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes
    }

    /// Starts to execute a template within those that are being executed.
    pub(super) fn enter_template(&mut self) -> Result<(), Failure> {
        if self.depth == self.limits.depth {
            let depth = self.limits.depth;
            return Err(Failure::Limit(format!(
                "exceeded maximum template depth ({depth})"
            )));
        }
        self.depth += 1;
        self.step(TEMPLATE_STEPS)
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Goes one level of control structures or parentheses down.
    pub(super) fn descend(&mut self) -> Result<(), Failure> {
        if self.levels == self.limits.levels {
            let levels = self.limits.levels;
            return Err(Failure::Limit(format!(
                "more than {levels} levels of control structures are within each other"
            )));
        }
        self.levels += 1;
        Ok(())
    }

    pub(super) fn ascend(&mut self) {
        self.levels -= 1;
    }

    /// Nothing is being executed any more.
    pub(super) fn surface(&mut self) {
        self.depth = 0;
        self.levels = 0;
    }

    /// Whether the place where a limit was reached is known.
    pub(super) fn is_reported(&self) -> bool {
        self.reported
    }

    pub(super) fn report(&mut self) {
        self.reported = true;
    }
}
