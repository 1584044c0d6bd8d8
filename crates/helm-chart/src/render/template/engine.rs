//! The templates of a chart, and the run that executes them.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use super::budget::{BYTES_A_STEP, Budget, Limits, TEMPLATE_STEPS};
use super::error::Error;
use super::exec::{Eval, Stop};
use super::node::{Tree, Trees};
use super::parser::{Functions, parse};
use super::quote::quote;
use crate::render::func::{Context, Failure};
use crate::render::value::{Str, Value};

/// The name of the empty template that all others belong to: what `tpl` gives to its texts.
const ROOT: &str = "gotpl";

/// How often a template may be included within itself, as Helm counts.
const MAX_INCLUDES: usize = 1000;

/// What a map gives for a key that it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// Go's own default: no value.
    Invalid,
    /// The zero of the map's values: what Helm uses.
    #[default]
    Zero,
    /// An error: Helm's strict mode.
    Error,
}

/// How templates are executed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What a missing key of a map is.
    pub missing_key: MissingKey,
    /// Whether `required` and `fail` let a missing value pass, as `helm lint` does.
    pub lint: bool,
    /// The number from which everything that is not repeatable follows.
    pub stand_in: u64,
    /// What the render may use.
    pub limits: Limits,
}

type Scope = HashMap<Str, Rc<Tree>>;

/// A text that was parsed: its own template, and those that it defines.
#[derive(Clone)]
pub struct Parsed(Rc<Trees>);

/// A set of templates and the state of one render.
///
/// Templates see each other by name. The values that they work on are shared and may be changed, so an
/// engine is for one render of one chart. [`on_own_stack`](super::on_own_stack) gives it a stack that
/// is deep enough for its limits.
pub struct Engine {
    pub(super) options: Options,
    functions: Functions,
    /// The chart's templates, and above them those of each `tpl` that is being executed.
    pub(super) scopes: Vec<Scope>,
    pub(super) budget: Budget,
    /// What the template that is being executed has printed.
    pub(super) output: String,
    /// How often each template is being included right now.
    included: HashMap<Str, usize>,
    /// The texts that `tpl` has parsed.
    parsed: HashMap<Str, Rc<Trees>>,
    /// Whether a function asked for the stand-in.
    used_stand_in: Cell<bool>,
}

impl Engine {
    /// An engine without templates.
    #[must_use]
    pub fn new(functions: Functions, options: Options) -> Self {
        Self {
            options,
            functions,
            scopes: vec![Scope::new()],
            budget: Budget::new(options.limits),
            output: String::new(),
            included: HashMap::new(),
            parsed: HashMap::new(),
            used_stand_in: Cell::new(false),
        }
    }

    /// Whether something so far came from the stand-in: with another one it could be different.
    #[must_use]
    pub fn used_stand_in(&self) -> bool {
        self.used_stand_in.get()
    }

    /// Parses a text and adds the template of this name, with all that the text defines. A later
    /// definition replaces an earlier one, unless it is empty and the earlier one is not new.
    ///
    /// # Errors
    /// The text is not a template.
    pub fn add(&mut self, name: &str, text: impl Into<Str>) -> Result<(), Error> {
        let parsed = self.parse(name, text)?;
        self.add_parsed(&parsed);
        Ok(())
    }

    /// Parses a text as the template of this name. Engines with the same functions and limits can share the result.
    ///
    /// # Errors
    /// The text is not a template.
    pub fn parse(&self, name: &str, text: impl Into<Str>) -> Result<Parsed, Error> {
        let nesting = self.budget.limits().nesting;
        let trees = parse(name, &text.into(), self.functions, nesting);
        Ok(Parsed(Rc::new(trees.map_err(Error::parse)?)))
    }

    /// Adds what [`parse`](Self::parse) has given, as [`add`](Self::add) does.
    pub fn add_parsed(&mut self, parsed: &Parsed) {
        self.associate(0, &parsed.0);
    }

    /// The names of all templates, in order.
    #[must_use]
    pub fn names(&self) -> Vec<Str> {
        let names = self.scopes.iter().flat_map(HashMap::keys);
        let mut names: Vec<Str> = names.cloned().collect();
        names.sort();
        names
    }

    /// Executes a template on a value, and gives what it prints.
    ///
    /// # Errors
    /// What Go and Helm report, or the limit that was reached.
    pub fn execute(&mut self, name: &str, dot: &Value) -> Result<String, Error> {
        let Some(tree) = self.find(name) else {
            return Err(Error::no_template(Self::not_associated(name)));
        };
        let result = self.run(&tree, &Eval::plain(dot.clone()));
        // What an error has interrupted is left over.
        self.budget.surface();
        let output = std::mem::take(&mut self.output);
        match result {
            Ok(()) => Ok(output),
            Err(Stop::Error(text)) => Err(Error::execute(text)),
            Err(Stop::Limit(text)) => Err(Error::limit(text)),
        }
    }

    /// Executes a template as Helm does: `<no value>` is removed from what it prints.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    pub fn render(&mut self, name: &str, dot: &Value) -> Result<String, Error> {
        self.execute(name, dot).map(without_no_value)
    }

    /// Adds templates to a scope. A blank one does not replace one that is visible there.
    fn associate(&mut self, scope: usize, trees: &Trees) {
        for tree in trees {
            if tree.root.is_blank() && self.find(&tree.name).is_some() {
                continue;
            }
            self.scopes[scope].insert(tree.name.clone(), tree.clone());
        }
    }

    fn not_associated(name: &str) -> String {
        let (name, root) = (quote(name), quote(ROOT));
        format!("template: no template {name} associated with template {root}")
    }

    /// Executes a template and gives what it prints instead of appending it to the output.
    fn captured(&mut self, tree: &Tree, dot: &Value) -> Result<String, Failure> {
        self.budget.enter_template()?;
        let outer = std::mem::take(&mut self.output);
        let result = self.run(tree, &Eval::plain(dot.clone()));
        let text = std::mem::replace(&mut self.output, outer);
        self.budget.leave();
        result?;
        Ok(text)
    }

    fn parsed(&mut self, text: &str) -> Result<Rc<Trees>, Failure> {
        if let Some(trees) = self.parsed.get(text) {
            return Ok(trees.clone());
        }
        // The text is kept, and the tree of its actions is larger than they are.
        let actions = text.matches("{{").count().saturating_add(1);
        let bytes = actions.saturating_mul(1536).saturating_add(1024);
        self.budget
            .spend(text.len().saturating_mul(4).saturating_add(bytes))?;
        // Reading takes longer than executing.
        let steps = actions.saturating_mul(16).saturating_add(300);
        self.budget.step((text.len() / 16).saturating_add(steps))?;
        let key: Str = text.into();
        let trees = parse(ROOT, &key, self.functions, self.budget.limits().nesting);
        let trees = trees.map_err(|message| {
            Failure::Nested(format!("cannot parse template {}: {message}", quote(text)))
        })?;
        let trees = Rc::new(trees);
        self.parsed.insert(key, trees.clone());
        Ok(trees)
    }
}

fn without_no_value(text: String) -> String {
    const NO_VALUE: &str = "<no value>";
    if text.contains(NO_VALUE) {
        text.replace(NO_VALUE, "")
    } else {
        text
    }
}

impl Context for Engine {
    fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        self.budget.spend(bytes)
    }

    fn step(&mut self, steps: usize) -> Result<(), Failure> {
        self.budget.step(steps)
    }

    fn left(&self) -> usize {
        self.budget.left()
    }

    fn include(&mut self, name: &str, dot: &Value) -> Result<Value, Failure> {
        self.budget.step(4)?;
        let count = match self.included.get_mut(name) {
            Some(count) => count,
            None => self.included.entry(name.into()).or_default(),
        };
        if *count > MAX_INCLUDES {
            return Err(Failure::Error(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        *count += 1;
        let result = match self.find(name) {
            Some(tree) => self.captured(&tree, dot),
            None => Err(Failure::Error(Self::not_associated(name))),
        };
        if let Some(count) = self.included.get_mut(name) {
            *count -= 1;
        }
        result.map(Value::from)
    }

    fn tpl(&mut self, text: &str, dot: &Value) -> Result<Value, Failure> {
        // The text is looked up by its hash.
        self.budget
            .step(TEMPLATE_STEPS + text.len() / BYTES_A_STEP)?;
        let trees = self.parsed(text)?;
        // A scope in which only this text's definitions are new.
        self.scopes.push(Scope::new());
        self.associate(self.scopes.len() - 1, &trees);
        let result = match trees.iter().find(|tree| &*tree.name == ROOT) {
            Some(tree) => self.captured(tree, dot),
            None => Ok(String::new()),
        };
        self.scopes.pop();
        match result {
            Ok(text) => Ok(Value::from(without_no_value(text))),
            Err(Failure::Nested(message) | Failure::Error(message)) => {
                Err(Failure::Nested(format!(
                    "error during tpl function execution for {}: {message}",
                    quote(text)
                )))
            }
            Err(other) => Err(other),
        }
    }

    fn stand_in(&self) -> u64 {
        self.used_stand_in.set(true);
        self.options.stand_in
    }

    fn lint(&self) -> bool {
        self.options.lint
    }
}
