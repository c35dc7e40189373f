//! Parses an expression by the strength of its operators (Pratt).
//!
//! [`Parser::expression`] reads a value and then, as long as the operator that follows is strong
//! enough, what that operator makes of it. Invariant: neither the parser's recursion nor the
//! depth of what it makes passes [`EXPRESSION_DEPTH_MAX`]; chains of `and` and of `or` are one
//! part each, so only what truly nests counts. Tests: `expression/tests.rs`.

use super::functions::{self, FUNCTIONS, Function};
use super::lexer::{Lexer, Token};
use super::{
    Comparison, EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, EXPRESSION_PATTERNS_MAX,
    ExpressionError, Literal, Node,
};
use crate::error::ErrorClass;
use crate::number::Arithmetic;
use crate::pattern::{Pattern, PatternError};
use crate::{Path, Value};

/// How strongly operators bind, from weak to strong.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Strength {
    Weakest,
    Or,
    And,
    Not,
    Comparison,
    Other,
    Sum,
    Product,
}

/// A part, and how deep it is.
struct Made {
    node: Node,
    depth: usize,
}

/// What can stand between two values.
enum Operator {
    And,
    Or,
    Arithmetic(Arithmetic),
    /// `||`, `->`, `->>`.
    Call(Function),
    /// Any that begins what is asked of a value.
    Comparison,
}

struct Parser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    /// The token to be looked at, and where it begins and ends.
    token: Token,
    start: usize,
    end: usize,
    nesting: usize,
    patterns: usize,
}

pub(super) const KEYWORDS: [&str; 10] = [
    "and", "or", "not", "in", "between", "like", "is", "null", "true", "false",
];

/// Functions that one might ask for, but that give another answer each time.
const CHANGING: [&str; 3] = ["now", "random", "uuid"];

pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message = format!(
            "the expression has {} bytes, at most {EXPRESSION_BYTES_MAX} are allowed; it ends",
            text.len()
        );
        return Err(ExpressionError::at(text, text.len(), message).of_class(ErrorClass::Limit));
    }
    let mut parser = Parser {
        text,
        lexer: Lexer::new(text),
        token: Token::End,
        start: 0,
        end: 0,
        nesting: 0,
        patterns: 0,
    };
    parser.advance()?;
    let made = parser.expression(Strength::Weakest)?;
    match parser.token {
        Token::End => Ok(made.node),
        _ => Err(parser.expected("an operator or the end")),
    }
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<(), ExpressionError> {
        (self.token, self.start, self.end) = self.lexer.next()?;
        Ok(())
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ExpressionError {
        ExpressionError::at(self.text, at, message)
    }

    fn expected(&self, what: &str) -> ExpressionError {
        let found = match self.token {
            Token::End => "the end".to_owned(),
            _ => format!("{:?}", &self.text[self.start..self.end]),
        };
        self.error(self.start, format!("expected {what}, found {found}"))
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(&self.token, Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> Result<bool, ExpressionError> {
        let found = self.is_keyword(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn take_symbol(&mut self, symbol: &str) -> Result<bool, ExpressionError> {
        let found = matches!(self.token, Token::Symbol(here) if here == symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), ExpressionError> {
        match self.take_symbol(symbol)? {
            true => Ok(()),
            false => Err(self.expected(&format!("{symbol:?}"))),
        }
    }

    /// A part of these children.
    fn make(&self, depth: usize, node: Node) -> Result<Made, ExpressionError> {
        match depth {
            ..EXPRESSION_DEPTH_MAX => Ok(Made {
                node,
                depth: depth + 1,
            }),
            _ => Err(self.too_deep()),
        }
    }

    fn too_deep(&self) -> ExpressionError {
        let message = format!("the expression nests more than {EXPRESSION_DEPTH_MAX} deep");
        self.error(self.start, message).of_class(ErrorClass::Limit)
    }

    /// Reads a value and every operator behind it that is stronger than this.
    fn expression(&mut self, than: Strength) -> Result<Made, ExpressionError> {
        self.nesting += 1;
        if self.nesting > EXPRESSION_DEPTH_MAX {
            return Err(self.too_deep());
        }
        let mut left = self.value()?;
        let mut compared = false;
        while let Some((operator, strength)) = self.operator()
            && strength > than
        {
            left = match operator {
                Operator::Comparison if compared => {
                    let message =
                        "comparisons do not chain: join them with and, or use parentheses";
                    return Err(self.error(self.start, message));
                }
                Operator::Comparison => {
                    compared = true;
                    self.comparison(left)?
                }
                Operator::And | Operator::Or => {
                    self.advance()?;
                    let right = self.expression(strength)?;
                    self.join(operator, left, right)?
                }
                Operator::Call(function) => {
                    self.advance()?;
                    let right = self.expression(strength)?;
                    let depth = left.depth.max(right.depth);
                    let nodes = vec![left.node, right.node];
                    self.make(depth, Node::Call(function, nodes))?
                }
                Operator::Arithmetic(arithmetic) => {
                    self.advance()?;
                    let right = self.expression(strength)?;
                    let nodes = Box::new([left.node, right.node]);
                    let depth = left.depth.max(right.depth);
                    self.make(depth, Node::Arithmetic(arithmetic, nodes))?
                }
            };
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// The operator that stands here, if one does.
    fn operator(&self) -> Option<(Operator, Strength)> {
        let arithmetic = |operation, strength| Some((Operator::Arithmetic(operation), strength));
        match &self.token {
            Token::Symbol("+") => arithmetic(Arithmetic::Add, Strength::Sum),
            Token::Symbol("-") => arithmetic(Arithmetic::Subtract, Strength::Sum),
            Token::Symbol("*") => arithmetic(Arithmetic::Multiply, Strength::Product),
            Token::Symbol("/") => arithmetic(Arithmetic::Divide, Strength::Product),
            Token::Symbol("%") => arithmetic(Arithmetic::Remainder, Strength::Product),
            Token::Symbol("||") => Some((Operator::Call(Function::Concat), Strength::Other)),
            Token::Symbol("->") => Some((Operator::Call(Function::Member), Strength::Other)),
            Token::Symbol("->>") => Some((Operator::Call(Function::MemberText), Strength::Other)),
            Token::Symbol("(" | ")" | ",") => None,
            Token::Symbol(_) => Some((Operator::Comparison, Strength::Comparison)),
            Token::Word(_) if self.is_keyword("and") => Some((Operator::And, Strength::And)),
            Token::Word(_) if self.is_keyword("or") => Some((Operator::Or, Strength::Or)),
            Token::Word(_) => ["not", "in", "between", "like", "is"]
                .iter()
                .any(|keyword| self.is_keyword(keyword))
                .then_some((Operator::Comparison, Strength::Comparison)),
            Token::Number(_) | Token::String(_) | Token::Path(_) | Token::End => None,
        }
    }

    /// Two parts joined by `and` or `or`: a chain stays one part.
    fn join(&self, by: Operator, left: Made, right: Made) -> Result<Made, ExpressionError> {
        let is_and = matches!(by, Operator::And);
        match (left.node, is_and) {
            (Node::And(mut nodes), true) => {
                nodes.push(right.node);
                self.make((left.depth - 1).max(right.depth), Node::And(nodes))
            }
            (Node::Or(mut nodes), false) => {
                nodes.push(right.node);
                self.make((left.depth - 1).max(right.depth), Node::Or(nodes))
            }
            (node, _) => {
                let nodes = vec![node, right.node];
                let joined = if is_and { Node::And } else { Node::Or };
                self.make(left.depth.max(right.depth), joined(nodes))
            }
        }
    }

    /// What is asked of a value that was read.
    fn comparison(&mut self, value: Made) -> Result<Made, ExpressionError> {
        if self.take_keyword("is")? {
            let negated = self.take_keyword("not")?;
            if !self.take_keyword("null")? {
                return Err(self.expected("\"null\""));
            }
            let made = self.make(value.depth, Node::IsNull(Box::new(value.node)))?;
            return self.negated_if(negated, made);
        }
        if let Token::Symbol(symbol) = self.token
            && let Some(comparison) = comparison_of(symbol)
        {
            self.advance()?;
            let right = self.expression(Strength::Comparison)?;
            let depth = value.depth.max(right.depth);
            let nodes = Box::new([value.node, right.node]);
            return self.make(depth, Node::Compare(comparison, nodes));
        }
        let negated = self.take_keyword("not")?;
        let made = if self.take_keyword("in")? {
            self.symbol("(")?;
            let list = self.list()?;
            let depth = list.iter().map(|made| made.depth).max().unwrap_or(0);
            let depth = depth.max(value.depth);
            let list = list.into_iter().map(|made| made.node);
            let nodes = std::iter::once(value.node).chain(list).collect();
            self.make(depth, Node::In(nodes))?
        } else if self.take_keyword("between")? {
            let low = self.expression(Strength::Comparison)?;
            if !self.take_keyword("and")? {
                return Err(self.expected("\"and\""));
            }
            let high = self.expression(Strength::Comparison)?;
            let depth = value.depth.max(low.depth).max(high.depth);
            let nodes = Box::new([value.node, low.node, high.node]);
            self.make(depth, Node::Between(nodes))?
        } else if self.take_keyword("like")? {
            self.pattern(value, Pattern::like)?
        } else if self.take_symbol("~")? {
            self.pattern(value, Pattern::regular)?
        } else {
            return Err(self.expected("\"in\", \"between\" or \"like\""));
        };
        self.negated_if(negated, made)
    }

    fn negated_if(&self, negated: bool, made: Made) -> Result<Made, ExpressionError> {
        match negated {
            true => self.make(made.depth, Node::Not(Box::new(made.node))),
            false => Ok(made),
        }
    }

    /// A value matched with the pattern that stands here.
    fn pattern(
        &mut self,
        value: Made,
        compile: impl Fn(&str) -> Result<Pattern, PatternError>,
    ) -> Result<Made, ExpressionError> {
        let Token::String(text) = &self.token else {
            return Err(self.expected("a pattern in single quotes"));
        };
        self.patterns += 1;
        if self.patterns > EXPRESSION_PATTERNS_MAX {
            let message = format!("at most {EXPRESSION_PATTERNS_MAX} patterns are allowed");
            return Err(self.error(self.start, message).of_class(ErrorClass::Limit));
        }
        let pattern = compile(text).map_err(|error| {
            let message = format!("the pattern {text:?}: {error}");
            self.error(self.start, message).of_class(error.class())
        })?;
        self.advance()?;
        self.make(value.depth, Node::Matches(Box::new(value.node), pattern))
    }

    /// Expressions with commas between them, and the closing parenthesis.
    fn list(&mut self) -> Result<Vec<Made>, ExpressionError> {
        let mut list = vec![self.expression(Strength::Weakest)?];
        while self.take_symbol(",")? {
            list.push(self.expression(Strength::Weakest)?);
        }
        match self.take_symbol(")")? {
            true => Ok(list),
            false => Err(self.expected("\",\" or \")\"")),
        }
    }

    /// A value, with what stands before it.
    fn value(&mut self) -> Result<Made, ExpressionError> {
        let at = self.start;
        match &self.token {
            Token::Number(value) => self.literal(value.clone()),
            Token::String(string) => self.literal(Value::String(string.clone())),
            Token::Path(path) => self.field(path.clone()),
            Token::Word(_) => self.word(),
            Token::Symbol("(") => {
                self.advance()?;
                let made = self.expression(Strength::Weakest)?;
                self.symbol(")")?;
                Ok(made)
            }
            Token::Symbol("-") => {
                self.advance()?;
                let made = self.expression(Strength::Product)?;
                match &made.node {
                    Node::Literal(literal) if let Some(value) = negated(&literal.value) => {
                        self.make(0, Node::Literal(Literal::new(value, at)))
                    }
                    _ => self.make(made.depth, Node::Negate(Box::new(made.node))),
                }
            }
            Token::Symbol(_) | Token::End => Err(self.expected("a value")),
        }
    }

    fn literal(&mut self, value: Value) -> Result<Made, ExpressionError> {
        let literal = Node::Literal(Literal::new(value, self.start));
        self.advance()?;
        self.make(0, literal)
    }

    fn field(&mut self, path: Path) -> Result<Made, ExpressionError> {
        let at = self.start;
        self.advance()?;
        self.make(0, Node::Field { path, at })
    }

    /// A keyword, a function or a field.
    fn word(&mut self) -> Result<Made, ExpressionError> {
        let Token::Word(word) = &self.token else {
            return Err(self.expected("a value"));
        };
        let (at, name) = (self.start, word.to_ascii_lowercase());
        match name.as_str() {
            "true" => return self.literal(true.into()),
            "false" => return self.literal(false.into()),
            "null" => return self.literal(Value::Null),
            "not" => {
                self.advance()?;
                let made = self.expression(Strength::Not)?;
                return self.make(made.depth, Node::Not(Box::new(made.node)));
            }
            _ if KEYWORDS.contains(&name.as_str()) => {
                let message = format!("a value (a field of the name {word} stands in \"quotes\")");
                return Err(self.expected(&message));
            }
            _ => {}
        }
        let path = Path::field(word.clone());
        self.advance()?;
        if self.token != Token::Symbol("(") {
            return self.make(0, Node::Field { path, at });
        }
        if CHANGING.contains(&name.as_str()) {
            let message =
                format!("{name}() is not allowed: an expression gives the same answer at any time");
            return Err(self.error(at, message));
        }
        let Some(row) = FUNCTIONS.iter().find(|row| row.name == name) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|row| row.name).collect();
            let message = format!("no function {name:?}: there are {}", known.join(", "));
            return Err(self.error(at, message));
        };
        self.advance()?;
        let arguments = self.list()?;
        if !(row.least..=row.most).contains(&arguments.len()) {
            let wanted = match (row.least, row.most) {
                (1, 1) => "one value",
                (2, 2) => "two values",
                _ => "one value or two",
            };
            let message = format!("{name} takes {wanted}, not {}", arguments.len());
            return Err(self.error(at, message));
        }
        let depth = arguments.iter().map(|made| made.depth).max().unwrap_or(0);
        let nodes: Vec<_> = arguments.into_iter().map(|made| made.node).collect();
        functions::check(row.function, &nodes)
            .map_err(|wanted| self.error(at, format!("{name} takes {wanted}")))?;
        self.make(depth, Node::Call(row.function, nodes))
    }
}

/// A number with its sign turned; the least integer has none.
fn negated(value: &Value) -> Option<Value> {
    match value {
        Value::Int(int) => int.checked_neg().map(Value::Int),
        Value::Decimal(decimal) => Some(Value::Decimal(decimal.negated())),
        _ => None,
    }
}

fn comparison_of(symbol: &str) -> Option<Comparison> {
    Some(match symbol {
        "=" => Comparison::Equal,
        "!=" | "<>" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}
