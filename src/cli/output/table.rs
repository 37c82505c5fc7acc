//! Results as tables for people: as wide as the terminal and no wider.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The part of a result that is shown.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) names: Vec<String>,
    /// Which columns are numbers.
    pub(super) numbers: Vec<bool>,
    /// `None` is NULL.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// Columns are not cut below this width; those that do not fit are left out.
const NARROWEST: usize = 8;

/// What stands between two columns: ` | `.
const BETWEEN: usize = 3;

const NULL: &str = "NULL";

/// At most so many rows with texts of several lines are shown one value below the other.
const TEXTS: usize = 20;

/// The table, and how many columns were left out. `width` is that of the terminal, if there is one; without one
/// nothing is cut.
pub(super) fn render(rows: &Rows, width: Option<usize>) -> (String, usize) {
    let cells: Vec<Vec<String>> = rows
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| one_line(cell.as_deref().unwrap_or(NULL))).collect())
        .collect();
    let names: Vec<String> = rows.names.iter().map(|name| one_line(name)).collect();
    let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let kept = width.map_or(widths.len(), |width| fit(&mut widths, width));
    let left_out = widths.len() - kept;

    let mut table = Table::new();
    table.load_preset("││──├─┼┤│    ┬┴┌┐└┘").set_content_arrangement(ContentArrangement::Disabled);
    let header = names.iter().zip(&widths).take(kept).map(|(name, width)| Cell::new(cut(name, *width)));
    table.set_header(header.chain((left_out > 0).then(|| Cell::new("…"))));
    for (row, values) in cells.iter().zip(&rows.rows) {
        let cells = row.iter().zip(values).zip(widths.iter().zip(&rows.numbers)).take(kept);
        let cells = cells.map(|((text, value), (width, number))| {
            let cell = Cell::new(cut(text, *width));
            match (value, number) {
                (None, _) => cell.add_attribute(Attribute::Dim),
                (_, true) => cell.set_alignment(CellAlignment::Right),
                (_, false) => cell,
            }
        });
        table.add_row(cells.chain((left_out > 0).then(|| Cell::new("…"))));
    }
    (table.to_string(), left_out)
}

/// Shrinks the widest columns until all fit, and returns how many columns do.
fn fit(widths: &mut [usize], terminal: usize) -> usize {
    let frame = |columns: usize| columns * BETWEEN + 1;
    let narrowest: Vec<usize> = widths.iter().map(|width| (*width).min(NARROWEST)).collect();
    let mut kept = widths.len();
    let needed = |kept: usize| {
        let dots = if kept < widths.len() { 1 + BETWEEN } else { 0 };
        narrowest[..kept].iter().sum::<usize>() + frame(kept) + dots
    };
    while kept > 1 && needed(kept) > terminal {
        kept -= 1;
    }
    let dots = if kept < widths.len() { 1 + BETWEEN } else { 0 };
    let room = terminal.saturating_sub(frame(kept) + dots);
    let total = |cap: usize, widths: &[usize]| widths.iter().map(|width| (*width).min(cap)).sum::<usize>();
    let widest = widths[..kept].iter().copied().max().unwrap_or(0);
    // The greatest cap that fits; what is left over goes to the cut columns, from the left.
    let (mut low, mut high) = (NARROWEST.min(widest), widest);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if total(middle, &widths[..kept]) <= room { low = middle } else { high = middle - 1 }
    }
    let mut spare = room.saturating_sub(total(low, &widths[..kept]));
    for width in &mut widths[..kept] {
        if *width > low {
            let extra = (*width - low).min(spare.min(1));
            spare -= extra;
            *width = low + extra;
        }
    }
    kept
}

/// A text of at most this width; one that is longer ends in `…`.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for c in text.chars() {
        let next = c.width().unwrap_or(0);
        if used + next + 1 > width {
            break;
        }
        used += next;
        shown.push(c);
    }
    shown.push('…');
    shown
}

/// A text on one line: a line break within a table would look like another row.
fn one_line(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.trim_end().replace("\r\n", "↵").chars().map(visible).collect()
}

fn visible(c: char) -> char {
    match c {
        '\n' | '\r' => '↵',
        '\t' => ' ',
        c if c.is_control() => '·',
        c => c,
    }
}

/// Whether the rows hold texts, such as statements and plans, that a table would spoil.
pub(super) fn is_text(rows: &Rows) -> bool {
    let has_lines = |cell: &Option<String>| cell.as_ref().is_some_and(|text| text.trim_end().contains('\n'));
    rows.rows.len() <= TEXTS && rows.rows.iter().flatten().any(has_lines)
}

/// Texts, each below its name. Rows of two columns, such as `EXPLAIN` returns, are name and text themselves.
pub(super) fn texts(rows: &Rows) -> String {
    if rows.names.len() != 2 {
        return expanded(rows);
    }
    let pairs = rows.rows.iter().map(|row| match &row[..] {
        [name, text] => (name.as_deref().unwrap_or(NULL), text.as_deref()),
        _ => (NULL, None),
    });
    values(pairs)
}

/// Each row as lines of name and value, nothing cut: `\x` of the shell.
pub(super) fn expanded(rows: &Rows) -> String {
    let mut out = vec![];
    for (number, row) in rows.rows.iter().enumerate() {
        if rows.rows.len() > 1 {
            let head = format!("─[ {} ]", number + 1);
            out.push(format!("{head}{}", "─".repeat(40_usize.saturating_sub(head.width()))));
        }
        out.push(values(rows.names.iter().map(String::as_str).zip(row.iter().map(Option::as_deref))));
    }
    out.join("\n")
}

fn values<'a>(pairs: impl Iterator<Item = (&'a str, Option<&'a str>)> + Clone) -> String {
    let widest = pairs.clone().map(|(name, _)| name.width()).max().unwrap_or(0);
    let lines = pairs.map(|(name, value)| {
        let text = value.unwrap_or(NULL).trim_end().trim_start_matches(['\n', '\r']);
        if text.contains('\n') {
            // Flush left, so that what is copied is what was stored.
            return format!("{name}:\n{text}\n");
        }
        format!("{name}{}  {text}", " ".repeat(widest - name.width()))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str], numbers: &[bool], cells: &[&[Option<&str>]]) -> Rows {
        Rows {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            numbers: numbers.to_vec(),
            rows: cells.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect(),
        }
    }

    #[test]
    fn numbers_stand_right_and_null_is_said() {
        let rows = rows(&["name", "n"], &[false, true], &[&[Some("Zoë"), Some("5")], &[None, Some("12")]]);
        let (table, left_out) = render(&rows, None);
        assert_eq!(left_out, 0);
        insta::assert_snapshot!(table, @r"
        ┌──────┬────┐
        │ name │ n  │
        ├──────┼────┤
        │ Zoë  │  5 │
        │ NULL │ 12 │
        └──────┴────┘
        ");
    }

    #[test]
    fn wide_cells_are_cut_and_columns_that_do_not_fit_left_out() {
        let long = "a rather long text that nobody reads";
        let rows = rows(&["a", "b", "c"], &[false; 3], &[&[Some("x"), Some(long), Some(long)]]);
        insta::assert_snapshot!(render(&rows, Some(40)).0, @r"
        ┌───┬─────────────────┬────────────────┐
        │ a │ b               │ c              │
        ├───┼─────────────────┼────────────────┤
        │ x │ a rather long … │ a rather long… │
        └───┴─────────────────┴────────────────┘
        ");
        let (table, left_out) = render(&rows, Some(22));
        assert_eq!(left_out, 1);
        insta::assert_snapshot!(table, @r"
        ┌───┬────────────┬───┐
        │ a │ b          │ … │
        ├───┼────────────┼───┤
        │ x │ a rather … │ … │
        └───┴────────────┴───┘
        ");
    }

    #[test]
    fn never_wider_than_the_terminal() {
        let long = "wide 鞋子 text ".repeat(9);
        let row: Vec<Option<&str>> = vec![Some(&long); 7];
        let names: Vec<&str> = vec!["column_name"; 7];
        let rows = rows(&names, &[false; 7], &[&row]);
        for width in 20..200 {
            let (table, _) = render(&rows, Some(width));
            assert!(table.lines().all(|line| line.width() <= width), "{width}\n{table}");
        }
    }

    #[test]
    fn texts_are_not_cut() {
        let rows = rows(&["segment", "sql"], &[false; 2], &[&[Some("a"), Some("SELECT 1\nFROM t\n")]]);
        assert!(is_text(&rows));
        assert_eq!(expanded(&rows), "segment  a\nsql:\nSELECT 1\nFROM t\n");
        assert_eq!(texts(&rows), "a:\nSELECT 1\nFROM t\n");
        assert!(render(&rows, None).0.contains("SELECT 1↵FROM t"));
    }
}
