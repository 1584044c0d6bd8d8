//! Actions: control structures, templates, and pipelines on their own.

use super::{
    Block, Branch, Call, Ending, Item, Keyword, Kind, Node, Parser, RANGE, Str, Token, Where,
};

impl<'t> Parser<'t, '_> {
    pub(super) fn action(&mut self) -> Result<Item, String> {
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
    pub(super) fn descend(&mut self, message: &str) -> Result<(), String> {
        if self.depth >= self.source.max_depth {
            return self.error(message);
        }
        self.depth += 1;
        Ok(())
    }

    fn control(&mut self, context: Where) -> Result<Branch, String> {
        self.descend("max nesting depth of control structures exceeded")?;
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
        self.descend("max nesting depth of control structures exceeded")?;
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
}
