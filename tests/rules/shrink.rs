//! Making a random text that fails smaller.
//!
//! A generator marks its parts by their kind; a part may be replaced by a smaller part of the same kind that stands
//! inside it, or by the plainest text of its kind. Whether the result still means something, and still fails, is asked
//! by running it.

use std::future::Future;

const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// Marks a part: its kind is one character.
pub(crate) fn mark(kind: char, text: &str) -> String {
    format!("{OPEN}{kind}{text}{CLOSE}")
}

/// The text without marks.
pub(crate) fn plain(marked: &str) -> String {
    let mut out = String::new();
    let mut chars = marked.chars();
    while let Some(c) = chars.next() {
        match c {
            OPEN => {
                chars.next();
            }
            CLOSE => {}
            c => out.push(c),
        }
    }
    out
}

/// The smallest text found that still fails; the first one must. At most `tries` texts are run.
pub(crate) async fn shrink<F: Future<Output = bool>>(
    marked: &str,
    simplest: &[(char, &str)],
    mut tries: usize,
    mut fails: impl FnMut(String) -> F,
) -> String {
    let mut smallest = marked.to_owned();
    'again: loop {
        for candidate in smaller(&smallest, simplest) {
            if tries == 0 {
                break 'again;
            }
            tries -= 1;
            if fails(plain(&candidate)).await {
                smallest = candidate;
                continue 'again;
            }
        }
        break;
    }
    plain(&smallest)
}

/// Texts with one part replaced, the greatest cuts first.
fn smaller(marked: &str, simplest: &[(char, &str)]) -> Vec<String> {
    let parts = parts(marked);
    let mut found = vec![];
    for outer in &parts {
        let inside = |inner: &&Part| inner.start > outer.start && inner.end < outer.end;
        let same = parts.iter().filter(inside).filter(|inner| inner.kind == outer.kind);
        found.extend(same.map(|inner| (outer, marked[inner.start..inner.end].to_owned())));
        let own = plain(&marked[outer.start..outer.end]);
        let plainest = simplest.iter().filter(|(kind, text)| *kind == outer.kind && text.len() < own.len());
        found.extend(plainest.map(|(kind, text)| (outer, mark(*kind, text))));
    }
    let mut texts: Vec<String> = found
        .into_iter()
        .map(|(outer, text)| format!("{}{text}{}", &marked[..outer.start], &marked[outer.end..]))
        .collect();
    texts.sort_by_key(String::len);
    texts.dedup();
    texts
}

struct Part {
    kind: char,
    start: usize,
    end: usize,
}

fn parts(marked: &str) -> Vec<Part> {
    let mut parts = vec![];
    let mut open = vec![];
    for (at, c) in marked.char_indices() {
        match c {
            OPEN => open.push(at),
            CLOSE => {
                let start = open.pop().unwrap();
                let kind = marked[start + 1..].chars().next().unwrap();
                parts.push(Part { kind, start, end: at + 1 });
            }
            _ => {}
        }
    }
    parts
}

#[tokio::test]
async fn what_does_not_matter_goes() {
    let number = |text: &str| mark('n', text);
    let text =
        mark('b', &format!("({} AND {})", mark('b', &format!("{} > 2", number("(1 + 7)"))), mark('b', "a")));
    assert_eq!(plain(&text), "((1 + 7) > 2 AND a)");
    let simplest = [('b', "true"), ('n', "1")];
    let found = shrink(&text, &simplest, 100, |text| async move { text.contains('>') }).await;
    assert_eq!(found, "1 > 2");
}
