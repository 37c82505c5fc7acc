//! The stable classes of errors, listed once: servers map them to their protocol's codes, scripts test for them.

use std::fmt;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $status:literal;)+) => {
        /// The stable class of an error, printed as `error[<kind>]`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Kind {
            /// Every kind, in the order of the reference page.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that users see.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What the kind means, for the reference page.
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }

            /// The exit status of the command line: 2 when the statement or what it names is wrong, 1 when a
            /// right statement failed while it ran.
            pub fn exit_status(self) -> u8 {
                match self { $(Self::$variant => $status,)+ }
            }
        }
    };
}

kinds! {
    /// The command line is wrong.
    Usage = "usage", 2;
    /// The statement is not in the grammar.
    Syntax = "syntax", 2;
    /// A column, function or parameter of that name does not exist, or the name says too little.
    Name = "name", 2;
    /// An expression has the wrong type, or stands where its sort is not allowed.
    Type = "type", 2;
    /// Understood, and not possible here.
    Unsupported = "unsupported", 2;
    /// A table, store, segment or audience of that name does not exist.
    NotFound = "not_found", 2;
    /// The name is taken, the thing is in use, or another writer was first.
    Conflict = "conflict", 2;
    /// The data breaks what the profile store declares, such as two profiles with one key.
    Data = "data", 2;
    /// A file, folder or bucket cannot be read or written.
    Storage = "storage", 2;
    /// The user may not do this.
    Permission = "permission", 2;
    /// A right statement failed on some value while it ran.
    Execution = "execution", 1;
    /// Memory or another limit was reached.
    Resource = "resource", 1;
    /// The statement was stopped.
    Cancelled = "cancelled", 1;
    /// A fault of coterie's own.
    Internal = "internal", 1;
    /// PQL: the text is not in the grammar.
    Parse = "parse", 2;
    /// PQL: the object has no such field.
    UnknownField = "unknown_field", 2;
    /// PQL: no function has this name.
    UnknownFunction = "unknown_function", 2;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
