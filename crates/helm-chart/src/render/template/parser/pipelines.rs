//! Pipelines, commands and operands.

use super::{Callee, Keyword, Kind, Parser, RANGE, Str, Token, Where};
use crate::render::template::builtins::Builtin;
use crate::render::template::literal::Number;
use crate::render::template::node::{Command, Operand, Pipe, Term};
use crate::render::template::quote::quote;

impl<'t> Parser<'t, '_> {
    pub(super) fn pipeline(&mut self, context: Where, end: Kind) -> Result<Pipe, String> {
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
                    // Most have one command, and there are tens of thousands.
                    pipe.commands.shrink_to_fit();
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
        command.operands.shrink_to_fit();
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
                self.descend("max expression depth exceeded")?;
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
