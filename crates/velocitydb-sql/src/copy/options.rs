//! What is said behind a COPY: which options there are, and which go together.

use sqlparser::tokenizer::Location;

use crate::error::{SqlError, sqlstate};
use crate::parse::copy::{CopyOption, CopyTree, Direction, OptionValue};
use crate::parse::position;

/// How the data look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) form: Form,
    pub(crate) delimiter: u8,
    /// What stands for a null.
    pub(crate) null: String,
    pub(crate) header: Header,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
    pub(crate) force_quote: Columns,
    pub(crate) force_not_null: Columns,
    pub(crate) force_null: Columns,
}

/// The three forms of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Csv,
    Binary,
}

/// Whether the first line names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    None,
    /// It does.
    Line,
    /// They must be those of the statement.
    Match,
}

/// Columns that an option is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Columns {
    These(Vec<String>),
    All,
}

impl Columns {
    fn is_none(&self) -> bool {
        matches!(self, Columns::These(names) if names.is_empty())
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        match self {
            Columns::All => true,
            Columns::These(names) => names.iter().any(|name| name == column),
        }
    }
}

/// Options as they were given; `None`: not at all.
#[derive(Default)]
struct Given {
    form: Option<Form>,
    freeze: Option<bool>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<Header>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<Columns>,
    force_not_null: Option<Columns>,
    force_null: Option<Columns>,
    encoding: Option<()>,
}

fn invalid(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

fn syntax(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::SYNTAX_ERROR, message)
}

/// What PostgreSQL says with the code of what it does not support.
fn unsupported(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
}

impl Options {
    /// Of a COPY.
    ///
    /// # Errors
    /// Options that are not there, come twice, have no such value, or do not go together.
    pub(crate) fn new(tree: &CopyTree, sql: &str) -> Result<Options, SqlError> {
        let mut given = Given::default();
        for option in &tree.options {
            let place = |error: SqlError, at: Location| error.at(position(sql, at));
            given
                .take(option, tree.direction)
                .map_err(|error| place(error, option.place))?;
        }
        given.options(tree.direction == Direction::From)
    }
}

impl Given {
    fn take(&mut self, option: &CopyOption, direction: Direction) -> Result<(), SqlError> {
        let name = option.name.as_str();
        match name {
            "format" => {
                let form = match &*text(option)? {
                    "text" => Form::Text,
                    "csv" => Form::Csv,
                    "binary" => Form::Binary,
                    other => {
                        return Err(invalid(format!("COPY format \"{other}\" not recognized")));
                    }
                };
                once(&mut self.form, form)
            }
            "freeze" => once(&mut self.freeze, boolean(option)?),
            "delimiter" => once(&mut self.delimiter, text(option)?),
            "null" => once(&mut self.null, text(option)?),
            "header" => once(&mut self.header, header(option, direction)?),
            "quote" => once(&mut self.quote, text(option)?),
            "escape" => once(&mut self.escape, text(option)?),
            "force_quote" => match &option.value {
                OptionValue::Star => once(&mut self.force_quote, Columns::All),
                _ => once(&mut self.force_quote, list(option)?),
            },
            "force_not_null" => once(&mut self.force_not_null, list(option)?),
            "force_null" => once(&mut self.force_null, list(option)?),
            "encoding" => {
                let encoding = text(option)?;
                match &*encoding.to_lowercase().replace(['-', '_'], "") {
                    "utf8" | "unicode" => once(&mut self.encoding, ()),
                    // PostgreSQL's other names, to tell them from what is none.
                    "sqlascii" | "win" => {
                        Err(SqlError::unsupported(format!("ENCODING {encoding}")))
                    }
                    other if ENCODINGS.iter().any(|begin| other.starts_with(begin)) => {
                        let error = SqlError::unsupported(format!("ENCODING {encoding}"));
                        Err(error.hint("The data must be UTF8."))
                    }
                    _ => Err(invalid(
                        "argument to option \"encoding\" must be a valid encoding name",
                    )),
                }
            }
            other => Err(syntax(format!("option \"{other}\" not recognized"))),
        }
    }

    /// In the order in which PostgreSQL looks at them, so that of several errors the same is told.
    fn options(self, is_from: bool) -> Result<Options, SqlError> {
        let form = self.form.unwrap_or(Form::Text);
        let (is_csv, is_binary) = (form == Form::Csv, form == Form::Binary);
        for (name, given) in [("DELIMITER", &self.delimiter), ("NULL", &self.null)] {
            if is_binary && given.is_some() {
                return Err(syntax(format!("cannot specify {name} in BINARY mode")));
            }
        }
        let quote_given = self.quote.is_some();
        let delimiter = self
            .delimiter
            .unwrap_or(if is_csv { "," } else { "\t" }.into());
        let null = self.null.unwrap_or(if is_csv { "" } else { "\\N" }.into());
        let quote = self.quote.unwrap_or("\"".into());
        let escape_given = self.escape.is_some();
        let escape = self.escape.unwrap_or_else(|| quote.clone());
        let header = self.header.unwrap_or(Header::None);
        let one = |text: &str| match text.as_bytes() {
            [byte] => Some(*byte),
            _ => None,
        };
        let Some(delimiter_byte) = one(&delimiter) else {
            return Err(unsupported(
                "COPY delimiter must be a single one-byte character",
            ));
        };
        if delimiter.contains(['\r', '\n']) {
            return Err(invalid(
                "COPY delimiter cannot be newline or carriage return",
            ));
        }
        if null.contains(['\r', '\n']) {
            return Err(invalid(
                "COPY null representation cannot use newline or carriage return",
            ));
        }
        let is_plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'\\' | b'.')
        };
        if !is_csv && is_plain(delimiter_byte) {
            return Err(invalid(format!("COPY delimiter cannot be \"{delimiter}\"")));
        }
        if is_binary && header != Header::None {
            return Err(unsupported("cannot specify HEADER in BINARY mode"));
        }
        if !is_csv && quote_given {
            return Err(unsupported("COPY quote available only in CSV mode"));
        }
        let Some(quote) = one(&quote) else {
            return Err(unsupported(
                "COPY quote must be a single one-byte character",
            ));
        };
        if is_csv && delimiter_byte == quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        if !is_csv && escape_given {
            return Err(unsupported("COPY escape available only in CSV mode"));
        }
        let Some(escape) = one(&escape) else {
            return Err(unsupported(
                "COPY escape must be a single one-byte character",
            ));
        };
        let forced = [
            ("force quote", &self.force_quote, false),
            ("force not null", &self.force_not_null, true),
            ("force null", &self.force_null, true),
        ];
        for (name, given, of_from) in forced {
            if given.as_ref().is_none_or(Columns::is_none) {
                continue;
            }
            if !is_csv {
                return Err(unsupported(format!(
                    "COPY {name} available only in CSV mode"
                )));
            }
            if is_from != of_from {
                let only = if of_from { "FROM" } else { "TO" };
                return Err(unsupported(format!(
                    "COPY {name} only available using COPY {only}"
                )));
            }
        }
        if null.as_bytes().contains(&delimiter_byte) {
            return Err(unsupported(
                "COPY delimiter must not appear in the NULL specification",
            ));
        }
        if is_csv && null.as_bytes().contains(&quote) {
            return Err(unsupported(
                "CSV quote character must not appear in the NULL specification",
            ));
        }
        let none = Columns::These(Vec::new());
        Ok(Options {
            form,
            delimiter: delimiter_byte,
            null,
            header,
            quote,
            escape,
            force_quote: self.force_quote.unwrap_or(none.clone()),
            force_not_null: self.force_not_null.unwrap_or(none.clone()),
            force_null: self.force_null.unwrap_or(none),
        })
    }
}

/// How the names of PostgreSQL's other encodings begin.
const ENCODINGS: &[&str] = &[
    "latin", "iso8859", "win1", "win8", "windows", "koi8", "euc", "sjis", "shiftjis", "big5",
    "gbk", "gb18030", "uhc", "johab", "mulein", "alt", "abc", "tcvn", "vscii", "mskanji",
];

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), SqlError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(syntax("conflicting or redundant options")),
    }
}

fn text(option: &CopyOption) -> Result<String, SqlError> {
    Ok(match &option.value {
        OptionValue::Text(text) => text.clone(),
        OptionValue::Star => "*".into(),
        OptionValue::List(names) => names.join("."),
        OptionValue::Nothing => {
            return Err(syntax(format!("{} requires a parameter", option.name)));
        }
    })
}

fn list(option: &CopyOption) -> Result<Columns, SqlError> {
    match &option.value {
        OptionValue::List(names) => Ok(Columns::These(names.clone())),
        _ => Err(invalid(format!(
            "argument to option \"{}\" must be a list of column names",
            option.name
        ))),
    }
}

fn word_is(option: &CopyOption) -> Option<bool> {
    match &option.value {
        OptionValue::Nothing => Some(true),
        OptionValue::Text(text) => match &*text.to_lowercase() {
            "true" | "on" | "1" => Some(true),
            "false" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn boolean(option: &CopyOption) -> Result<bool, SqlError> {
    word_is(option).ok_or_else(|| syntax(format!("{} requires a Boolean value", option.name)))
}

fn header(option: &CopyOption, direction: Direction) -> Result<Header, SqlError> {
    if let OptionValue::Text(text) = &option.value
        && text.eq_ignore_ascii_case("match")
    {
        return match direction {
            Direction::From => Ok(Header::Match),
            Direction::To => Err(unsupported("cannot use \"match\" with HEADER in COPY TO")),
        };
    }
    match word_is(option) {
        Some(true) => Ok(Header::Line),
        Some(false) => Ok(Header::None),
        None => Err(syntax(format!(
            "{} requires a Boolean value or \"match\"",
            option.name
        ))),
    }
}
