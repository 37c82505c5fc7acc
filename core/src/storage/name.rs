//! Names as parts of paths.

/// A name as one part of a path. Percent signs would do, were the table's own path not decoded once too often on its
/// way through URLs.
pub fn folder(name: &str) -> String {
    escape(name, '-', "_")
}

/// A name in letters and digits that are the same on every file system and object store, different for different names:
/// other bytes become `sign` and two hexadecimal digits, except those that are `plain`.
pub fn escape(name: &str, sign: char, plain: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || plain.contains(letter) {
            path.push(letter);
        } else {
            path.push_str(&format!("{sign}{byte:02X}"));
        }
    }
    path
}
