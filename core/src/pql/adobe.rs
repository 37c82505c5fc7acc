//! Whole segment definitions as Adobe's segment API writes them → [`Segment`]s, and what is refused with the reason.
//!
//! A document is one definition, a list of them, or an answer of the API with a list in it. Of a definition the name, id,
//! description and expression count; what else it says is Adobe's own business.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Kind, Source, Span, offset_of};
use crate::segment::{Language, Segment};

use super::typed::{self, Node};
use super::{Context, lower};

/// What a document became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The segments, each after those that it asks for by `inSegment`.
    pub segments: Vec<Segment>,
    /// The definitions that make no segment.
    pub refused: Vec<Refusal>,
}

/// A definition that makes no segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name, or its place in the document.
    pub name: String,
    /// What is wrong with it, at least one fault; places point into its expression.
    pub faults: Vec<Diagnostic>,
}

/// The members of an answer that hold its definitions.
const LISTS: &[&str] = &["segments", "children", "items", "results"];

struct Definition {
    name: String,
    id: Option<String>,
    comment: Option<String>,
    language: Language,
    rule: String,
}

/// Reads documents about the profiles of a store; their definitions may ask for each other. Fails only where a document
/// is not JSON or holds no definitions.
pub fn import(documents: &[Source], context: &Context<'_>) -> Result<Import, Diagnostic> {
    let mut import = Import::default();
    let mut definitions: Vec<Definition> = vec![];
    for document in documents {
        for (at, value) in list(read(document)?, document)?.into_iter().enumerate() {
            let label = label(&value, at);
            let read = definition(&value).and_then(|definition| {
                unique(&definition, &definitions)?;
                Ok(definition)
            });
            match read {
                Ok(definition) => definitions.push(definition),
                Err(fault) => import.refused.push(Refusal { name: label, faults: vec![fault] }),
            }
        }
    }
    let names = Names::new(&definitions);
    let mut segments = vec![];
    for definition in definitions {
        match needs(&definition, &names, context) {
            Ok(needs) => segments.push((definition.segment(&context.store.store.name), needs)),
            Err(faults) => {
                let source =
                    Source::named(std::format!("segment {}", definition.name), definition.rule.as_str());
                let faults = faults.into_iter().map(|fault| fault.in_source(&source)).collect();
                import.refused.push(Refusal { name: definition.name, faults });
            }
        }
    }
    order(segments, &mut import);
    Ok(import)
}

fn read(document: &Source) -> Result<Value, Diagnostic> {
    serde_json::from_str(&document.text).map_err(|error| {
        let at = offset_of(&document.text, error.line() as u64, error.column() as u64);
        let message = std::format!("this is not JSON: {error}");
        Diagnostic::new(Kind::Parse, message).at(Span::new(at, at + 1)).in_source(document)
    })
}

/// Refuses a definition whose name or id another one has.
fn unique(definition: &Definition, others: &[Definition]) -> Result<(), Diagnostic> {
    let what = others.iter().find_map(|other| {
        if other.name == definition.name {
            return Some("name");
        }
        (other.id.is_some() && other.id == definition.id).then_some("id")
    });
    match what {
        None => Ok(()),
        Some(what) => {
            let message = std::format!("another definition has this {what}");
            Err(Diagnostic::new(Kind::Conflict, message).help("import one of them alone"))
        }
    }
}

fn list(value: Value, document: &Source) -> Result<Vec<Value>, Diagnostic> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Object(mut members) => {
            let list = LISTS.iter().find_map(|name| match members.remove(*name) {
                Some(Value::Array(items)) => Some(items),
                _ => None,
            });
            Ok(list.unwrap_or_else(|| vec![Value::Object(members)]))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let message = "the document holds no segment definition";
            Err(Diagnostic::new(Kind::Parse, message)
                .at(Span::new(0, document.text.len()))
                .in_source(document))
        }
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

fn label(value: &Value, at: usize) -> String {
    let named = value.as_object().and_then(|members| text(members, "name").or(text(members, "id")));
    named.map_or_else(|| std::format!("definition {}", at + 1), str::to_owned)
}

fn definition(value: &Value) -> Result<Definition, Diagnostic> {
    let wrong = |message: &str| Diagnostic::new(Kind::Parse, message);
    let members = value.as_object().ok_or_else(|| wrong("a segment definition must be a JSON object"))?;
    let name = text(members, "name").ok_or_else(|| wrong("the definition has no `name`"))?;
    let expression = members.get("expression").and_then(Value::as_object);
    let expression = expression.ok_or_else(|| wrong("the definition has no `expression`"))?;
    if let Some(other) = text(expression, "type").filter(|of| !of.eq_ignore_ascii_case("PQL")) {
        return Err(Diagnostic::new(
            Kind::Unsupported,
            std::format!("expressions of type `{other}` are not read"),
        ));
    }
    let format = text(expression, "format").unwrap_or("pql/text");
    let language = match format {
        "pql/text" => Language::Pql,
        "pql/json" => Language::PqlJson,
        other => {
            return Err(Diagnostic::new(Kind::Unsupported, std::format!("the format `{other}` is not read")));
        }
    };
    if let Some(schema) = members.get("schema").and_then(|schema| schema.get("name")).and_then(Value::as_str)
        && schema != "_xdm.context.profile"
    {
        let message = std::format!("the definition is about `{schema}`, not about profiles");
        return Err(Diagnostic::new(Kind::Unsupported, message));
    }
    // The JSON form is a string as documented, and a tree as some tools write it.
    let rule = match expression.get("value") {
        Some(Value::String(rule)) => rule.clone(),
        Some(tree @ Value::Object(_)) if language == Language::PqlJson => tree.to_string(),
        _ => return Err(wrong("the expression has no `value`")),
    };
    Ok(Definition {
        name: name.to_owned(),
        id: text(members, "id").map(str::to_owned),
        comment: text(members, "description").map(str::to_owned),
        language,
        rule,
    })
}

/// The names of the documents' segments, by name and by id.
struct Names(BTreeMap<String, String>);

impl Names {
    fn new(definitions: &[Definition]) -> Self {
        let ids = definitions
            .iter()
            .filter_map(|definition| Some((definition.id.clone()?, definition.name.clone())));
        let names = definitions.iter().map(|definition| (definition.name.clone(), definition.name.clone()));
        Self(ids.chain(names).collect())
    }
}

impl Definition {
    fn segment(self, store: &str) -> Segment {
        let Self { name, id, comment, language, rule } = self;
        Segment { name, store: store.to_owned(), id, comment, language, rule }
    }
}

/// The document's segments that a definition asks for; an error where its rule is wrong.
fn needs(
    definition: &Definition,
    names: &Names,
    context: &Context<'_>,
) -> Result<BTreeSet<String>, Vec<Diagnostic>> {
    let find = |id: &str| names.0.get(id).cloned().or_else(|| (context.segment)(id));
    let context = Context { segment: &find, ..*context };
    let query = super::compile(&definition.rule, definition.language, &context)?;
    lower(&query, &context).map_err(|fault| vec![fault])?;
    let mut asked = vec![];
    segments_asked(&query, &mut asked);
    Ok(asked.into_iter().filter_map(|id| names.0.get(id)).cloned().collect())
}

fn segments_asked<'a>(expr: &'a typed::Expr, found: &mut Vec<&'a str>) {
    if let Node::InSegment(id) = &expr.node {
        found.push(id);
    }
    typed::visit(expr, &mut |part| segments_asked(part, found));
}

/// Puts each segment after those that it needs. What needs a refused segment, or itself by way of others, is refused.
fn order(mut segments: Vec<(Segment, BTreeSet<String>)>, import: &mut Import) {
    let mut made = BTreeSet::new();
    loop {
        let ready = |(_, needs): &(Segment, BTreeSet<String>)| needs.is_subset(&made);
        let (next, rest): (Vec<_>, Vec<_>) = segments.into_iter().partition(ready);
        segments = rest;
        if next.is_empty() {
            break;
        }
        for (segment, _) in next {
            made.insert(segment.name.clone());
            import.segments.push(segment);
        }
    }
    for (segment, needs) in segments {
        let missing: Vec<&str> = needs.difference(&made).map(String::as_str).collect();
        let itself = missing.contains(&segment.name.as_str());
        let message = match itself {
            true => "it asks for itself".to_owned(),
            false => std::format!("it asks for `{}`, which cannot be made", missing.join("`, `")),
        };
        let faults = vec![Diagnostic::new(Kind::NotFound, message)];
        import.refused.push(Refusal { name: segment.name, faults });
    }
}
