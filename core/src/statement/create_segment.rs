//! `CREATE [OR REPLACE] SEGMENT [IF NOT EXISTS] name [IN store] [ID '…'] [COMMENT '…'] [USING language] AS rule`.

use std::fmt;

use crate::diagnostic::{Diagnostic, Kind, Result, Span};
use crate::segment::{Expr, Language, Name};

use super::parser::Parser;
use super::{quote, quote_string, rule_text};

/// Names a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateSegment {
    /// The segment's name.
    pub name: Name,
    /// Replace a segment of that name.
    pub or_replace: bool,
    /// Keep a segment of that name.
    pub if_not_exists: bool,
    /// The store it is about; without one, the only store there is.
    pub store: Option<Name>,
    /// What another system calls it.
    pub id: Option<String>,
    /// What it is for.
    pub comment: Option<String>,
    /// The language of the rule.
    pub language: Language,
    /// The rule, to the letter.
    pub rule: String,
    /// The rule as it was parsed with the statement, if its language is SQL; its places are those in the rule.
    pub parsed: Option<Expr>,
    /// Where the rule stands in the statement's text. Where its quotes hold escapes, the place of the literal.
    pub rule_span: Span,
}

pub(super) fn parse(parser: &mut Parser<'_>, or_replace: bool) -> Result<CreateSegment> {
    let if_not_exists = parser.eat(&["IF", "NOT", "EXISTS"]);
    let name = parser.name("the name of the segment")?;
    let (mut store, mut id, mut comment, mut language) = (None, None, None, Language::Sql);
    loop {
        if parser.eat(&["IN"]) {
            store = Some(parser.name("a profile store")?);
        } else if parser.eat(&["ID"]) {
            id = Some(parser.string("the id as a string")?.0);
        } else if parser.eat(&["COMMENT"]) {
            comment = Some(parser.string("the comment as a string")?.0);
        } else if parser.eat(&["USING"]) {
            language = self::language(parser)?;
        } else if parser.eat(&["AS"]) {
            break;
        } else {
            return Err(parser.unexpected("`IN`, `ID`, `COMMENT`, `USING` or `AS`"));
        }
    }
    let (parsed, rule, rule_span) = match language {
        Language::Sql => {
            let (parsed, rule, span) = parser.sql_rule()?;
            (Some(parsed), rule, span)
        }
        Language::Pql | Language::PqlJson => {
            let (rule, span) = parser.string("the rule as a string, `'…'` or `$$…$$`")?;
            (None, rule, span)
        }
    };
    Ok(CreateSegment {
        name,
        or_replace,
        if_not_exists,
        store,
        id,
        comment,
        language,
        rule,
        parsed,
        rule_span,
    })
}

/// `SQL`, `PQL`, `PQL/JSON` or the same as a string.
fn language(parser: &mut Parser<'_>) -> Result<Language> {
    let place = parser.here();
    let mut text = match parser.string("") {
        Ok((text, _)) => text,
        Err(_) => parser.name("a language")?.value,
    };
    if parser.peek_symbol("/") {
        parser.expect_symbol("/")?;
        text = format!("{text}/{}", parser.name("`json`")?.value);
    }
    Language::from_name(&text).ok_or_else(|| {
        Diagnostic::new(Kind::Name, format!("unknown rule language `{text}`"))
            .at(place)
            .help("rules are written in `sql`, `pql` or `pql/json`")
    })
}

impl fmt::Display for CreateSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_replace = if self.or_replace { "OR REPLACE " } else { "" };
        let if_not_exists = if self.if_not_exists { "IF NOT EXISTS " } else { "" };
        write!(f, "CREATE {or_replace}SEGMENT {if_not_exists}{}", quote(&self.name.value))?;
        if let Some(store) = &self.store {
            write!(f, " IN {}", quote(&store.value))?;
        }
        if let Some(id) = &self.id {
            write!(f, "\n  ID {}", quote_string(id))?;
        }
        if let Some(comment) = &self.comment {
            write!(f, "\n  COMMENT {}", quote_string(comment))?;
        }
        if self.language != Language::Sql {
            write!(f, "\n  USING {}", self.language.as_str().to_uppercase())?;
        }
        write!(f, "\n  AS {}", rule_text(self.language, &self.rule))
    }
}
