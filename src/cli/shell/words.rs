//! The words of SQL, for colours and completion.

/// In the order of the alphabet.
pub(super) const KEYWORDS: &[&str] = &[
    "ALL", "ALTER", "ANALYZE", "AND", "ANY", "ARRAY", "AS", "ASC", "BETWEEN", "BIGINT", "BOOLEAN", "BY", "CASE", "CAST",
    "COMMENT", "COPY", "CREATE", "CROSS", "CURRENT", "DATE", "DAY", "DELETE", "DESC", "DESCRIBE", "DISTINCT", "DOUBLE",
    "DROP", "DRY", "ELSE", "END", "EVALUATE", "EVENTS", "EXCEPT", "EXISTS", "EXPLAIN", "EXTERNAL", "EXTRACT", "FALSE",
    "FILTER", "FIRST", "FOLLOWING", "FOR", "FROM", "FULL", "GROUP", "HAVING", "HOUR", "ID", "IF", "ILIKE", "IN", "INNER",
    "INSERT", "INT", "INTERSECT", "INTERVAL", "INTO", "IS", "JOIN", "KEY", "LAST", "LEFT", "LIKE", "LIMIT", "LOCATION",
    "LOOKUP", "MINUTE", "MONTH", "NOT", "NULL", "NULLS", "OF", "OFFSET", "ON", "OPTIONS", "OR", "ORDER", "OUTER", "OVER",
    "PARTITION", "PARTITIONED", "PQL", "PRECEDING", "PROFILE", "PROFILES", "RANGE", "RECURSIVE", "REPLACE", "RESET",
    "RIGHT", "ROW", "ROWS", "RUN", "SECOND", "SEGMENT", "SEGMENTS", "SELECT", "SEMI", "SET", "SHOW", "STORE", "STORED",
    "STORES", "TABLE", "TABLES", "THEN", "TIMESTAMP", "TO", "TRUE", "UNBOUNDED", "UNION", "UNNEST", "UPDATE", "USING",
    "VALUES", "VARCHAR", "VIEW", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN", "YEAR",
];

/// Whether the word is one of SQL's, in any case.
pub(super) fn is_keyword(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    KEYWORDS.binary_search(&upper.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found() {
        assert!(KEYWORDS.is_sorted());
        assert!(is_keyword("select") && is_keyword("Segment") && !is_keyword("events2"));
    }
}
