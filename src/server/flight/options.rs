//! Session options: `SET` as a call. arrow-flight has no messages for them yet; these are Flight's.

use std::collections::HashMap;

use prost::Message;

use crate::engine::Session;

pub(super) const SET: &str = "SetSessionOptions";
pub(super) const GET: &str = "GetSessionOptions";
pub(super) const CLOSE: &str = "CloseSession";

/// A value of an option.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(oneof = "Choice", tags = "1, 2, 3, 4, 5")]
    pub(super) value: Option<Choice>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Choice {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    List(List),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    #[prost(string, repeated, tag = "1")]
    pub(super) values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetRequest {
    #[prost(map = "string, message", tag = "1")]
    pub(super) options: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) errors: HashMap<String, SetError>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetError {
    /// 1: no such option, 2: no such value, 3: something else.
    #[prost(int32, tag = "1")]
    pub(super) value: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) options: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CloseResult {
    /// 1: closed.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

/// Sets options, as far as they can be set.
pub(super) fn set(session: &Session, request: SetRequest) -> SetResult {
    let mut errors = HashMap::new();
    for (name, value) in request.options {
        let error = match text(value) {
            Some(value) => match session.set(setting(&name), &value) {
                Ok(()) => None,
                Err(error) if error.kind() == crate::diagnostic::Kind::Name => Some(1),
                Err(error) if error.kind() == crate::diagnostic::Kind::Permission => Some(3),
                Err(_) => Some(2),
            },
            None => Some(2),
        };
        if let Some(value) = error {
            errors.insert(name, SetError { value });
        }
    }
    SetResult { errors }
}

/// Two names that all drivers know.
fn setting(option: &str) -> &str {
    match option {
        "catalog" => "datafusion.catalog.default_catalog",
        "schema" => "datafusion.catalog.default_schema",
        other => other,
    }
}

fn text(value: Value) -> Option<String> {
    Some(match value.value? {
        Choice::Text(text) => text,
        Choice::Bool(value) => value.to_string(),
        Choice::Integer(value) => value.to_string(),
        Choice::Double(value) => value.to_string(),
        Choice::List(list) => list.values.join(","),
    })
}

/// All options with their values.
pub(super) fn get(session: &Session) -> GetResult {
    let entries = session.config().options().entries();
    let options = entries.into_iter().filter_map(|entry| {
        let value = Value { value: Some(Choice::Text(entry.value?)) };
        Some((entry.key, value))
    });
    GetResult { options: options.collect() }
}
