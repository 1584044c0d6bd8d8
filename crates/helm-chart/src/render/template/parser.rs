//! Parses a text into the templates that it defines.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::lexer::Lexer;
use super::literal::unquote;
use super::node::{Block, Branch, Call, Callee, Node, Text, Tree, Trees};
use super::quote::quote;
use super::token::{Keyword, Kind, Token};
use crate::render::func::Func;
use crate::render::value::Str;

mod actions;
mod pipelines;

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
    let source = TemplateText {
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
struct TemplateText<'t> {
    file: Str,
    text: &'t Str,
    functions: Functions,
    max_depth: usize,
}

/// Parses one template; `define` and `block` start another on the same lexer.
struct Parser<'t, 'p> {
    source: &'p TemplateText<'t>,
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
        source: &'p TemplateText<'t>,
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
                Item::Ending(ending) => {
                    block.nodes.shrink_to_fit();
                    return Ok((block, ending));
                }
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
}
