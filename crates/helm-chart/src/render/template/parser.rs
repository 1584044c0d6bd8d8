//! Parses a text into the templates that it defines.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::builtins::Builtin;
use super::lexer::Lexer;
use super::literal::{Number, unquote};
use super::node::{
    Block, Branch, Call, Callee, Command, Node, Operand, Pipe, Term, Text, Tree, Trees,
};
use super::quote::quote;
use super::token::{Keyword, Kind, Token};
use crate::render::func::Func;
use crate::render::value::Str;

/// Finds a function by its name.
pub(super) type Functions = fn(&str) -> Option<&'static Func>;

/// Parses a text that has this name, with every template that it defines.
///
/// # Errors
/// Go's message: `template: NAME:LINE: …`.
pub(super) fn parse(
    name: &str,
    text: &Str,
    functions: Functions,
    max_depth: usize,
) -> Result<Trees, String> {
    let mut lexer = Lexer::new(text);
    let mut trees = BTreeMap::new();
    let source = Source {
        file: name.into(),
        text,
        functions,
        max_depth,
    };
    let mut parser = Parser::new(&source, &mut lexer, &mut trees);
    let root = parser.file()?;
    parser.add(name.into(), root)?;
    Ok(trees.into_values().collect())
}

/// What all templates of a text share.
struct Source<'t> {
    file: Str,
    text: &'t Str,
    functions: Functions,
    max_depth: usize,
}

/// Parses one template; `define` and `block` start another on the same lexer.
struct Parser<'t, 'p> {
    source: &'p Source<'t>,
    lexer: &'p mut Lexer<'t>,
    trees: &'p mut BTreeMap<Str, Rc<Tree>>,
    /// Tokens read ahead, the nearest one last; errors are on the line of the first.
    ahead: [Token<'t>; 3],
    peeked: usize,
    variables: Vec<Str>,
    /// The line on which the current action starts, or zero.
    action_line: usize,
    ranges: usize,
    depth: usize,
}

/// How a list of nodes ends.
#[derive(PartialEq, Eq)]
enum Ending {
    End,
    /// Where it stands.
    Else(usize),
}

impl Ending {
    fn text(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else(_) => "{{else}}",
        }
    }
}

/// A node, or the end of the list.
enum Item {
    Node(Node),
    Ending(Ending),
}

/// Whether a pipeline is a command of its own, or what control structure it belongs to.
type Where = &'static str;

const RANGE: Where = "range";

impl<'t, 'p> Parser<'t, 'p> {
    fn new(
        source: &'p Source<'t>,
        lexer: &'p mut Lexer<'t>,
        trees: &'p mut BTreeMap<Str, Rc<Tree>>,
    ) -> Self {
        let none = || Token {
            kind: Kind::End,
            position: 0,
            text: "".into(),
            line: 0,
        };
        Self {
            source,
            lexer,
            trees,
            ahead: [none(), none(), none()],
            peeked: 0,
            variables: vec!["$".into()],
            action_line: 0,
            ranges: 0,
            depth: 0,
        }
    }

    fn next(&mut self) -> Token<'t> {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.ahead[0] = self.lexer.next();
        }
        self.ahead[self.peeked].clone()
    }

    fn backup(&mut self) {
        self.peeked += 1;
    }

    /// Puts a token back in front of the one that was read last.
    fn backup2(&mut self, token: Token<'t>) {
        self.ahead[1] = token;
        self.peeked = 2;
    }

    /// Puts two tokens back in front of the one that was read last.
    fn backup3(&mut self, first: Token<'t>, second: Token<'t>) {
        self.ahead[1] = second;
        self.ahead[2] = first;
        self.peeked = 3;
    }

    fn peek(&mut self) -> &Token<'t> {
        if self.peeked == 0 {
            self.ahead[0] = self.lexer.next();
            self.peeked = 1;
        }
        &self.ahead[self.peeked - 1]
    }

    fn next_non_space(&mut self) -> Token<'t> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token<'t> {
        let token = self.next_non_space();
        self.backup();
        token
    }

    fn error<T>(&self, message: impl std::fmt::Display) -> Result<T, String> {
        let line = self.ahead[0].line;
        Err(format!("template: {}:{line}: {message}", self.source.file))
    }

    fn unexpected<T>(&self, token: &Token<'_>, context: &str) -> Result<T, String> {
        if token.kind != Kind::Error {
            return self.error(format_args!("unexpected {token} in {context}"));
        }
        let mut extra = String::new();
        if self.action_line != 0 && self.action_line != token.line {
            // Not "action in action".
            let action = if token.text.ends_with(" action") {
                ""
            } else {
                " in action"
            };
            extra = format!(
                "{action} started at {}:{}",
                self.source.file, self.action_line
            );
        }
        self.error(format_args!("{token}{extra}"))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'t>, String> {
        let token = self.next_non_space();
        if token.kind == kind {
            return Ok(token);
        }
        self.unexpected(&token, context)
    }

    /// Adds a template. An empty one gives way to another of the same name.
    fn add(&mut self, name: Str, root: Block) -> Result<(), String> {
        let is_new = self
            .trees
            .get(&name)
            .is_none_or(|tree| tree.root.is_blank());
        if !is_new {
            if root.is_blank() {
                return Ok(());
            }
            let name = quote(&name);
            return self.error(format_args!(
                "template: multiple definition of template {name}"
            ));
        }
        let tree = Tree {
            name: name.clone(),
            file: self.source.file.clone(),
            text: self.source.text.clone(),
            root,
        };
        self.trees.insert(name, Rc::new(tree));
        Ok(())
    }

    /// Everything, definitions included.
    fn file(&mut self) -> Result<Block, String> {
        let mut root = Block {
            position: self.peek().position,
            nodes: Vec::new(),
        };
        while self.peek().kind != Kind::End {
            if self.peek().kind == Kind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().is(Keyword::Define) {
                    self.another().definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Item::Node(node) => root.nodes.push(node),
                Item::Ending(ending) => {
                    return self.error(format_args!("unexpected {}", ending.text()));
                }
            }
        }
        Ok(root)
    }

    /// A parser for another template at the same place.
    fn another(&mut self) -> Parser<'t, '_> {
        let mut parser = Parser::new(self.source, self.lexer, self.trees);
        parser.depth = self.depth;
        parser
    }

    fn definition(&mut self) -> Result<(), String> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, CONTEXT);
        }
        let name = self.unquote(&token)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        self.body(name, CONTEXT)
    }

    /// The body of a definition, up to its end.
    fn body(&mut self, name: Str, context: &str) -> Result<(), String> {
        let (root, ending) = self.items()?;
        if ending != Ending::End {
            return self.error(format_args!("unexpected {} in {context}", ending.text()));
        }
        self.add(name, root)
    }

    fn unquote(&self, token: &Token<'_>) -> Result<Str, String> {
        unquote(&token.text).or_else(|message| self.error(message))
    }

    /// Nodes up to `end` or `else`.
    fn items(&mut self) -> Result<(Block, Ending), String> {
        let mut block = Block {
            position: self.peek_non_space().position,
            nodes: Vec::new(),
        };
        while self.peek_non_space().kind != Kind::End {
            match self.text_or_action()? {
                Item::Node(node) => block.nodes.push(node),
                Item::Ending(ending) => return Ok((block, ending)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Result<Item, String> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(Text {
                range: token.position..token.position + token.text.len(),
                file: self.source.text.clone(),
            }))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let item = self.action()?;
                self.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Result<Item, String> {
        let token = self.next_non_space();
        let position = token.position;
        let Kind::Keyword(keyword) = token.kind else {
            return self.command_action();
        };
        Ok(Item::Node(match keyword {
            Keyword::Block => self.block()?,
            Keyword::Break => {
                self.in_range("{{break}}")?;
                Node::Break(position)
            }
            Keyword::Continue => {
                self.in_range("{{continue}}")?;
                Node::Continue(position)
            }
            Keyword::Else => return self.otherwise().map(Item::Ending),
            Keyword::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Keyword::If => Node::If(self.control("if")?),
            Keyword::Range => Node::Range(self.control(RANGE)?),
            Keyword::Template => self.template()?,
            Keyword::With => Node::With(self.control("with")?),
            Keyword::Define | Keyword::Dot | Keyword::Nil => return self.command_action(),
        }))
    }

    /// An action that is a pipeline, of which one token has been read.
    fn command_action(&mut self) -> Result<Item, String> {
        self.backup();
        let position = self.peek().position;
        let pipe = self.pipeline("command", Kind::RightDelim)?;
        Ok(Item::Node(Node::Action(pipe, position)))
    }

    fn in_range(&mut self, action: &str) -> Result<(), String> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, action);
        }
        if self.ranges == 0 {
            return self.error(format_args!("{action} outside {{{{range}}}}"));
        }
        Ok(())
    }

    /// `{{else}}`; of `{{else if …}}` and `{{else with …}}` the second word stays to be read.
    fn otherwise(&mut self) -> Result<Ending, String> {
        let next = self.peek_non_space();
        if next.is(Keyword::If) || next.is(Keyword::With) {
            return Ok(Ending::Else(next.position));
        }
        let token = self.expect(Kind::RightDelim, "else")?;
        Ok(Ending::Else(token.position))
    }

    /// Counts a level of nesting, of which Go allows any number, at the cost of memory.
    fn enter(&mut self, message: &str) -> Result<(), String> {
        if self.depth >= self.source.max_depth {
            return self.error(message);
        }
        self.depth += 1;
        Ok(())
    }

    fn control(&mut self, context: Where) -> Result<Branch, String> {
        self.enter("max nesting depth of control structures exceeded")?;
        let scope = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let ranges = usize::from(context == RANGE);
        self.ranges += ranges;
        let (then, ending) = self.items()?;
        self.ranges -= ranges;
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else(position) => Some(self.else_branch(context, position)?),
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Branch {
            position: pipe.position,
            pipe,
            then,
            otherwise,
        })
    }

    /// What follows `{{else}}`. `{{else if a}}…{{end}}` means `{{else}}{{if a}}…{{end}}{{end}}`.
    fn else_branch(&mut self, context: Where, position: usize) -> Result<Block, String> {
        let chained = match context {
            "if" => self.peek().is(Keyword::If),
            "with" => self.peek().is(Keyword::With),
            _ => false,
        };
        if chained {
            self.next();
            let branch = self.control(context)?;
            let node = if context == "if" {
                Node::If(branch)
            } else {
                Node::With(branch)
            };
            return Ok(Block {
                position,
                nodes: vec![node],
            });
        }
        let (block, ending) = self.items()?;
        if ending != Ending::End {
            return self.error(format_args!("expected end; found {}", ending.text()));
        }
        Ok(block)
    }

    fn block(&mut self) -> Result<Node, String> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        self.enter("max nesting depth of control structures exceeded")?;
        self.another().body(name.clone(), CONTEXT)?;
        self.depth -= 1;
        Ok(Node::Template(Call {
            position: token.position,
            name,
            pipe: Some(pipe),
        }))
    }

    fn template(&mut self) -> Result<Node, String> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let mut pipe = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(CONTEXT, Kind::RightDelim)?);
        }
        Ok(Node::Template(Call {
            position: token.position,
            name,
            pipe,
        }))
    }

    fn template_name(&mut self, token: &Token<'t>, context: &str) -> Result<Str, String> {
        match token.kind {
            Kind::String | Kind::RawString => self.unquote(token),
            _ => self.unexpected(token, context),
        }
    }

    fn pipeline(&mut self, context: Where, end: Kind) -> Result<Pipe, String> {
        let mut pipe = Pipe {
            position: self.peek_non_space().position,
            assigns: false,
            variables: Vec::new(),
            commands: Vec::new(),
        };
        while self.declaration(&mut pipe, context)? {}
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check_pipeline(&pipe, context)?;
                    return Ok(pipe);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Keyword(Keyword::Dot | Keyword::Nil)
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    pipe.commands.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    /// A variable in front of `:=`, `=` or a comma. Whether another may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: Where) -> Result<bool, String> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        self.next();
        // Only a token after the space tells `$x foo` from `$x := foo`.
        let after = self.peek().clone();
        let next = self.peek_non_space();
        match next.kind {
            Kind::Assign | Kind::Declare => {
                pipe.assigns = next.kind == Kind::Assign;
                self.next_non_space();
                self.declare(pipe, &variable);
                Ok(false)
            }
            Kind::Char if next.text == "," => {
                self.next_non_space();
                self.declare(pipe, &variable);
                if context != RANGE || pipe.variables.len() >= 2 {
                    return self.error(format_args!("too many declarations in {context}"));
                }
                match self.peek_non_space().kind {
                    Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                    _ => self.error("range can only initialize variables"),
                }
            }
            _ => {
                if after.kind == Kind::Space {
                    self.backup3(variable, after);
                } else {
                    self.backup2(variable);
                }
                Ok(false)
            }
        }
    }

    fn declare(&mut self, pipe: &mut Pipe, variable: &Token<'t>) {
        let name: Str = variable.text.as_ref().into();
        pipe.variables.push(name.clone());
        self.variables.push(name);
    }

    fn check_pipeline(&self, pipe: &Pipe, context: Where) -> Result<(), String> {
        if pipe.commands.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = &command.operands[0].term;
            if matches!(
                first,
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String(..)
            ) {
                let stage = index + 1;
                return self.error(format_args!(
                    "non executable command in pipeline stage {stage}"
                ));
            }
        }
        Ok(())
    }

    /// Operands up to a bar, which is read, or to the end of the pipeline, which is not.
    fn command(&mut self) -> Result<Command, String> {
        let mut command = Command {
            position: self.peek_non_space().position,
            operands: Vec::new(),
        };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                command.operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.operands.is_empty() {
            return self.error("empty command");
        }
        Ok(command)
    }

    /// A term and the fields behind it. An operand with fields stands where its second field stands.
    fn operand(&mut self) -> Result<Option<Operand>, String> {
        let Some(mut operand) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(operand));
        }
        let position = self.peek().position;
        let mut fields: Vec<Str> = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.next().text[1..].into());
        }
        let term = match &mut operand.term {
            Term::Field(before) | Term::Variable(_, before) => {
                before.append(&mut fields);
                operand.position = position;
                return Ok(Some(operand));
            }
            Term::Bool(_) | Term::String(..) | Term::Number(_) | Term::Nil | Term::Dot => {
                let term = quote(&operand.to_string());
                return self.error(format_args!("unexpected . after term {term}"));
            }
            Term::Function(_) | Term::Chain(..) | Term::Pipe(_) => {
                Term::Chain(Box::new(operand), fields)
            }
        };
        Ok(Some(Operand { position, term }))
    }

    fn term(&mut self) -> Result<Option<Operand>, String> {
        let token = self.next_non_space();
        let term = match token.kind {
            Kind::Identifier => Term::Function(self.function(&token.text)?),
            Kind::Keyword(Keyword::Dot) => Term::Dot,
            Kind::Keyword(Keyword::Nil) => Term::Nil,
            Kind::Variable => {
                let name = token.text.as_ref();
                let Some(known) = self.variables.iter().find(|known| ***known == *name) else {
                    return self.error(format_args!("undefined variable {}", quote(name)));
                };
                Term::Variable(known.clone(), Vec::new())
            }
            Kind::Field => Term::Field(vec![token.text[1..].into()]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                match Number::parse(&token.text, token.kind) {
                    Ok(number) => Term::Number(Box::new((number, token.text.as_ref().into()))),
                    Err(message) => return self.error(message),
                }
            }
            Kind::LeftParen => {
                self.enter("max expression depth exceeded")?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                // Where the pipeline stands, not its parenthesis.
                return Ok(Some(Operand {
                    position: pipe.position,
                    term: Term::Pipe(Box::new(pipe)),
                }));
            }
            Kind::String | Kind::RawString => {
                Term::String(self.unquote(&token)?, token.text.as_ref().into())
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Operand {
            position: token.position,
            term,
        }))
    }

    /// A function of the chart's functions or, where they have none of that name, of Go's own.
    fn function(&self, name: &str) -> Result<Callee, String> {
        if let Some(func) = (self.source.functions)(name) {
            return Ok(Callee::Func(func));
        }
        match Builtin::of(name) {
            Some(builtin) => Ok(Callee::Builtin(builtin)),
            None => self.error(format_args!("function {} not defined", quote(name))),
        }
    }
}
