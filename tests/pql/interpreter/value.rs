//! Values of the interpreter. Nulls know what they are nulls of, as the language's types do.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A scalar that is null.
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(Rc<str>),
    /// Milliseconds of its midnight.
    Date(i64),
    /// Milliseconds.
    Timestamp(i64),
    List(Rc<List>),
    Map(Rc<Map>),
    Object(Rc<Object>),
    Entry(Rc<(Value, Value)>),
}

#[derive(Debug)]
pub(crate) struct List {
    pub(crate) items: Option<Vec<Value>>,
    /// An element that is null.
    pub(crate) null: Value,
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) entries: Option<Vec<(Value, Value)>>,
    /// A value that is null.
    pub(crate) null: Value,
}

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) is_null: bool,
    pub(crate) fields: BTreeMap<String, Value>,
}

impl Value {
    pub(crate) fn list(items: Option<Vec<Self>>, null: Self) -> Self {
        Self::List(Rc::new(List { items, null }))
    }

    pub(crate) fn map(entries: Option<Vec<(Self, Self)>>, null: Self) -> Self {
        Self::Map(Rc::new(Map { entries, null }))
    }

    pub(crate) fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::List(list) => list.items.is_none(),
            Self::Map(map) => map.entries.is_none(),
            Self::Object(object) => object.is_null,
            Self::Boolean(_)
            | Self::Integer(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Date(_)
            | Self::Timestamp(_)
            | Self::Entry(_) => false,
        }
    }

    /// The null of the value's type.
    pub(crate) fn nullified(&self) -> Self {
        match self {
            Self::List(list) => Self::list(None, list.null.clone()),
            Self::Map(map) => Self::map(None, map.null.clone()),
            Self::Object(object) => {
                let fields = object.fields.iter().map(|(name, value)| (name.clone(), value.nullified()));
                Self::Object(Rc::new(Object { is_null: true, fields: fields.collect() }))
            }
            _ => Self::Null,
        }
    }

    /// A value of JSON by its type in the fixture's schema.
    pub(crate) fn read(of: &Json, json: Option<&Json>) -> Self {
        let json = json.filter(|json| !json.is_null());
        if let Some(name) = of.as_str() {
            let Some(json) = json else { return Self::Null };
            return match name {
                "string" => Self::Text(json.as_str().unwrap().into()),
                "boolean" => Self::Boolean(json.as_bool().unwrap()),
                "integer" => Self::Integer(json.as_i64().unwrap()),
                "double" => Self::Double(json.as_f64().unwrap()),
                "date" => {
                    let date: chrono::NaiveDate = json.as_str().unwrap().parse().unwrap();
                    Self::Date(date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp_millis())
                }
                "timestamp" => {
                    let time: chrono::DateTime<chrono::Utc> = json.as_str().unwrap().parse().unwrap();
                    Self::Timestamp(time.timestamp_millis())
                }
                other => panic!("{other}"),
            };
        }
        if let Some(item) = of.get("array") {
            let items =
                json.map(|json| json.as_array().unwrap().iter().map(|json| Self::read(item, Some(json))));
            return Self::list(items.map(Iterator::collect), Self::read(item, None));
        }
        if let Some(value) = of.get("map") {
            let entries = json.map(|json| {
                let entries = json.as_object().unwrap().iter();
                entries
                    .map(|(key, json)| (Self::Text(key.as_str().into()), Self::read(value, Some(json))))
                    .collect()
            });
            return Self::map(entries, Self::read(value, None));
        }
        let fields = of["struct"].as_object().unwrap().iter();
        let fields =
            fields.map(|(name, of)| (name.clone(), Self::read(of, json.and_then(|json| json.get(name)))));
        Self::Object(Rc::new(Object { is_null: json.is_none(), fields: fields.collect() }))
    }

    /// The order of two scalars of one class; `None` if one is null.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Date(a) | Self::Timestamp(a), Self::Date(b) | Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Null, _) | (_, Self::Null) => None,
            (a, b) => a.number()?.partial_cmp(&b.number()?),
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn time(&self) -> Option<i64> {
        match self {
            Self::Date(time) | Self::Timestamp(time) => Some(*time),
            Self::Object(object) => object.fields.get("timestamp")?.time(),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => list.items.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        self.order(other) == Some(Ordering::Equal)
    }
}
