//! The messages of clients, cut out of what arrives.
//!
//! pgwire decodes them too, but reads past the end of a message that is shorter than it says: a client could bring a
//! connection down, or make the next message part of this one. So each is cut out first, and read within its bounds.

use bytes::{Buf, Bytes, BytesMut};

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Statements, to be run at once.
    Query(Bytes),
    /// A statement, to be prepared under a name.
    Parse { name: String, sql: Bytes, types: Vec<u32> },
    /// Values for a prepared statement: a portal.
    Bind(Bind),
    /// What a statement or portal returns.
    Describe(Target),
    /// Rows of a portal; 0 for all of them.
    Execute { portal: String, limit: u32 },
    /// Forget a statement or portal.
    Close(Target),
    /// Send what there is.
    Flush,
    /// The end of a group of messages.
    Sync,
    /// Rows of a `COPY … FROM STDIN`.
    CopyData(Bytes),
    /// The end of these rows.
    CopyDone,
    /// The client gives these rows up, and says why.
    CopyFail(String),
    /// A password, or a step of a login.
    Password(Bytes),
    /// The old way to call functions.
    FunctionCall,
    /// Good-bye.
    Terminate,
}

/// Values for a prepared statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    /// None: all are text. One: it is every value's. Otherwise one a value.
    pub(super) formats: Vec<i16>,
    pub(super) values: Vec<Option<Bytes>>,
    /// The formats of the columns, in the same way.
    pub(super) results: Vec<i16>,
}

/// What `Describe` and `Close` are about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

/// Why what arrives is not the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Nothing begins like this.
    Unknown(u8),
    /// So long, and so much is allowed.
    TooLong(usize, usize),
    /// The message is not what its first byte says.
    Broken(&'static str),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(kind) => write!(f, "invalid frontend message type {kind}"),
            Self::TooLong(length, limit) => {
                write!(f, "the message has {length} bytes, and {limit} are allowed")
            }
            Self::Broken(what) => write!(f, "invalid message format: {what}"),
        }
    }
}

/// The first byte and the length of every message after the first.
const HEAD: usize = 5;

/// Takes the first message out of what arrived; `None` while it is not complete.
pub(super) fn take(arrived: &mut BytesMut, limit: usize) -> Result<Option<Message>, Malformed> {
    let Some(head) = arrived.first_chunk::<HEAD>() else { return Ok(None) };
    let [kind, length @ ..] = *head;
    if !b"QPBDECHSdcfpFX".contains(&kind) {
        return Err(Malformed::Unknown(kind));
    }
    // The length counts itself.
    let length = usize::try_from(i32::from_be_bytes(length)).ok().and_then(|length| length.checked_sub(4));
    let length = length.ok_or(Malformed::Broken("a negative length"))?;
    if length > limit {
        return Err(Malformed::TooLong(length, limit));
    }
    if arrived.len() < HEAD + length {
        return Ok(None);
    }
    arrived.advance(HEAD);
    let mut body = Body(arrived.split_to(length).freeze());
    let message = match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => {
            let (name, sql, count) = (body.name()?, body.text()?, body.count()?);
            let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
            Message::Parse { name, sql, types }
        }
        b'B' => {
            let (portal, statement) = (body.name()?, body.name()?);
            let formats = body.formats()?;
            let count = body.count()?;
            let values = (0..count).map(|_| body.value()).collect::<Result<_, _>>()?;
            Message::Bind(Bind { portal, statement, formats, values, results: body.formats()? })
        }
        b'D' => Message::Describe(body.target()?),
        b'C' => Message::Close(body.target()?),
        b'E' => {
            let portal = body.name()?;
            // A negative limit is none.
            let limit = u32::try_from(i32::from_be_bytes(body.chunk()?)).unwrap_or(0);
            Message::Execute { portal, limit }
        }
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'd' => return Ok(Some(Message::CopyData(body.0))),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(body.name()?),
        b'p' => return Ok(Some(Message::Password(body.0))),
        b'F' => return Ok(Some(Message::FunctionCall)),
        _ => return Ok(Some(Message::Terminate)),
    };
    if body.0.is_empty() {
        Ok(Some(message))
    } else {
        Err(Malformed::Broken("it is longer than it should be"))
    }
}

/// What is left of a message.
pub(super) struct Body(pub(super) Bytes);

impl Body {
    pub(super) fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let chunk = *self.0.first_chunk::<N>().ok_or(Malformed::Broken("it is too short"))?;
        self.0.advance(N);
        Ok(chunk)
    }

    fn count(&mut self) -> Result<u16, Malformed> {
        self.chunk().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.chunk().map(u32::from_be_bytes)
    }

    /// Everything up to a zero byte.
    pub(super) fn text(&mut self) -> Result<Bytes, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.0.split_to(end.ok_or(Malformed::Broken("a text does not end"))?);
        self.0.advance(1);
        Ok(text)
    }

    /// A text of which only the client has to make sense.
    pub(super) fn name(&mut self) -> Result<String, Malformed> {
        Ok(String::from_utf8_lossy(&self.text()?).into_owned())
    }

    fn formats(&mut self) -> Result<Vec<i16>, Malformed> {
        (0..self.count()?).map(|_| self.chunk().map(i16::from_be_bytes)).collect()
    }

    /// A value with its length, of which -1 is NULL.
    pub(super) fn value(&mut self) -> Result<Option<Bytes>, Malformed> {
        let length = i32::from_be_bytes(self.chunk()?);
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= self.0.len());
        Ok(Some(self.0.split_to(length.ok_or(Malformed::Broken("a value is longer than the message"))?)))
    }

    fn target(&mut self) -> Result<Target, Malformed> {
        match self.chunk()? {
            [b'S'] => Ok(Target::Statement(self.name()?)),
            [b'P'] => Ok(Target::Portal(self.name()?)),
            _ => Err(Malformed::Broken("neither a statement nor a portal")),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.put_u8(kind);
        bytes.put_i32(i32::try_from(body.len() + 4).unwrap());
        bytes.put_slice(body);
        bytes
    }

    #[test]
    fn messages_are_cut_where_they_end() {
        let mut arrived = message(b'Q', b"SELECT 1\0");
        arrived.unsplit(message(b'S', b""));
        arrived.unsplit(BytesMut::from(&b"Q\0\0"[..]));
        let mut next = || take(&mut arrived, 100).unwrap();
        assert_eq!(next(), Some(Message::Query(Bytes::from_static(b"SELECT 1"))));
        assert_eq!(next(), Some(Message::Sync));
        assert_eq!(next(), None);
    }

    #[test]
    fn values_keep_their_bytes_and_their_nulls() {
        let mut bind = message(b'B', b"p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x02ab\0\0");
        let bound = Bind {
            portal: "p".to_owned(),
            statement: "s".to_owned(),
            formats: vec![1],
            values: vec![None, Some(Bytes::from_static(b"ab"))],
            results: vec![],
        };
        assert_eq!(take(&mut bind, 100), Ok(Some(Message::Bind(bound))));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let refused = |mut bytes: BytesMut| take(&mut bytes, 100).unwrap_err();
        assert_eq!(refused(BytesMut::from(&b"?\0\0\0\x04"[..])), Malformed::Unknown(b'?'));
        assert_eq!(refused(BytesMut::from(&b"Q\x7f\0\0\0"[..])), Malformed::TooLong(0x7eff_fffc, 100));
        assert!(matches!(refused(BytesMut::from(&b"Q\xff\xff\xff\xff"[..])), Malformed::Broken(_)));
        assert!(matches!(refused(BytesMut::from(&b"Q\0\0\0\x03"[..])), Malformed::Broken(_)));
        for (kind, body) in [
            (b'Q', &b"no end"[..]),
            (b'Q', b"a\0b"),
            (b'P', b"a\0b\0\0\x05\0\0"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x09a"),
            (b'B', b"\0\0\xff\xff"),
            (b'D', b"Xa\0"),
            (b'E', b"\0\0"),
            (b'S', b"x"),
        ] {
            let broken = refused(message(kind, body));
            assert!(matches!(broken, Malformed::Broken(_)), "{kind} {body:?}: {broken}");
        }
    }
}
