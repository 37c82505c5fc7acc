//! CSV and TSV.

use memchr::{memchr, memchr3};

/// Appends a line of comma-separated values (RFC 4180). NULL is nothing at all, an empty text is `""`.
pub(super) fn csv(out: &mut String, cells: &mut dyn Iterator<Item = Option<&str>>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        match cell {
            None => {}
            Some(text) if text.is_empty() || is_quoted(text.as_bytes()) => {
                out.push('"');
                out.push_str(&text.replace('"', "\"\""));
                out.push('"');
            }
            Some(text) => out.push_str(text),
        }
    }
    out.push('\n');
}

/// Whether a text has something in it that stands for itself between quotes alone.
fn is_quoted(text: &[u8]) -> bool {
    memchr3(b',', b'"', b'\n', text).is_some() || memchr(b'\r', text).is_some()
}

/// Appends a line of tab-separated values as `COPY` of PostgreSQL writes them: NULL is `\N`, and tab, line break and
/// backslash are `\t`, `\n`, `\r` and `\\`, so that a line is always a row.
pub(super) fn tsv(out: &mut String, cells: &mut dyn Iterator<Item = Option<&str>>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push('\t');
        }
        let Some(text) = cell else {
            out.push_str("\\N");
            continue;
        };
        for c in text.chars() {
            match c {
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\\' => out.push_str("\\\\"),
                c => out.push(c),
            }
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: [Option<&str>; 5] = [Some("a"), None, Some(""), Some("x,\"y\"\n"), Some("t\t\\")];

    #[test]
    fn csv_tells_null_from_empty() {
        let mut out = String::new();
        csv(&mut out, &mut ROW.into_iter());
        assert_eq!(out, "a,,\"\",\"x,\"\"y\"\"\n\",t\t\\\n");
    }

    #[test]
    fn tsv_keeps_a_row_on_a_line() {
        let mut out = String::new();
        tsv(&mut out, &mut ROW.into_iter());
        assert_eq!(out, "a\t\\N\t\tx,\"y\"\\n\tt\\t\\\\\n");
    }
}
