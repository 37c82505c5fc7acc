//! The types of PQL, and how arrow's map to them.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};

/// The type of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A floating-point number.
    Double,
    /// A calendar day.
    Date,
    /// An instant.
    Timestamp,
    /// A list.
    Array(Box<Type>),
    /// A map.
    Map(Box<Type>, Box<Type>),
    /// A struct.
    Object(Object),
    /// What `mapEntry` makes.
    Entry(Box<Type>, Box<Type>),
    /// The elements of `[]`: fits any scalar.
    Nothing,
    /// A type of the table that PQL does not have; only null tests apply.
    Other(String),
}

/// The fields of an object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its fields with their types, in the order of the schema.
    pub fields: Arc<[(String, Type)]>,
    /// Which object it is.
    pub role: Role,
}

/// Which object an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The profile.
    Profile,
    /// One of its events.
    Event,
    /// Any other.
    Plain,
}

/// The field of a profile that holds its events.
pub const EVENTS: &str = "xEvent";

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        // An event holds no profile, but a profile holds its events: comparing roles first keeps this finite.
        self.role == other.role && (self.role == Role::Profile || self.fields == other.fields)
    }
}

impl Object {
    /// The type of a field.
    pub fn field(&self, name: &str) -> Option<&Type> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, of)| of)
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }
}

impl Type {
    /// An array of this type.
    #[must_use]
    pub fn array(self) -> Self {
        Self::Array(Box::new(self))
    }

    /// Whether values of the type are compared as a whole.
    pub fn is_scalar(&self) -> bool {
        self.class().is_some()
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Integer | Self::Double | Self::Nothing)
    }

    /// Whether it stands for an instant.
    pub fn is_time(&self) -> bool {
        matches!(self, Self::Date | Self::Timestamp)
    }

    /// The class within which scalars are comparable.
    fn class(&self) -> Option<u8> {
        match self {
            Self::Nothing => Some(0),
            Self::Integer | Self::Double => Some(1),
            Self::Date | Self::Timestamp => Some(2),
            Self::String => Some(3),
            Self::Boolean => Some(4),
            Self::Array(_) | Self::Map(..) | Self::Object(_) | Self::Entry(..) | Self::Other(_) => None,
        }
    }

    /// Whether two scalars are comparable.
    pub fn comparable(&self, other: &Self) -> bool {
        match (self.class(), other.class()) {
            (Some(a), Some(b)) => a == b || a == 0 || b == 0,
            _ => false,
        }
    }

    /// The type that holds both, if they agree.
    pub fn common(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Integer, Self::Double) | (Self::Double, Self::Integer) => Some(Self::Double),
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Some(Self::Timestamp),
            (Self::Nothing, known) | (known, Self::Nothing) => Some(known.clone()),
            (Self::Array(a), Self::Array(b)) => a.common(b).map(Self::array),
            (a, b) => (a == b).then(|| a.clone()),
        }
    }

    /// The type of a column or field.
    pub fn from_arrow(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::String,
            DataType::Boolean => Self::Boolean,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64 => Self::Integer,
            DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Double,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::Dictionary(_, values) => Self::from_arrow(values),
            DataType::RunEndEncoded(_, values) => Self::from_arrow(values.data_type()),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => Self::from_arrow(item.data_type()).array(),
            DataType::Struct(fields) => {
                let fields =
                    fields.iter().map(|field| (field.name().clone(), Self::from_arrow(field.data_type())));
                Self::Object(Object { fields: fields.collect(), role: Role::Plain })
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => Self::Map(
                    Box::new(Self::from_arrow(fields[0].data_type())),
                    Box::new(Self::from_arrow(fields[1].data_type())),
                ),
                other => Self::Other(other.to_string()),
            },
            other => Self::Other(other.to_string()),
        }
    }
}

/// The object that a row of a table is; its keys are no fields.
pub fn row(schema: &Schema, key: &str, role: Role) -> Object {
    let columns = schema.fields().iter().filter(|field| field.name() != key);
    let fields = columns.map(|field| (field.name().clone(), Type::from_arrow(field.data_type())));
    Object { fields: fields.collect(), role }
}

/// The profile: its row with the events.
pub fn profile(schema: &Schema, key: &str, event: Option<Object>) -> Object {
    let row = row(schema, key, Role::Profile);
    let events = event.map(|event| (EVENTS.to_owned(), Type::Object(event).array()));
    let fields = row
        .fields
        .iter()
        .filter(|(name, _)| events.is_none() || name != EVENTS)
        .cloned()
        .chain(events.clone());
    Object { fields: fields.collect(), role: Role::Profile }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("a string"),
            Self::Boolean => f.write_str("a boolean"),
            Self::Integer => f.write_str("an integer"),
            Self::Double => f.write_str("a double"),
            Self::Date => f.write_str("a date"),
            Self::Timestamp => f.write_str("a timestamp"),
            Self::Array(item) if **item == Self::Nothing => f.write_str("an empty array"),
            Self::Array(item) => write!(f, "an array (each element {item})"),
            Self::Map(..) => f.write_str("a map"),
            Self::Object(object) => f.write_str(match object.role {
                Role::Profile => "the profile",
                Role::Event => "an event",
                Role::Plain => "an object",
            }),
            Self::Entry(..) => f.write_str("a map entry"),
            Self::Nothing => f.write_str("nothing"),
            Self::Other(name) => write!(f, "of the type {name}, which PQL does not have"),
        }
    }
}
