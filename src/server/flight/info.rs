//! What the server says of itself: SqlInfo and XdbcTypeInfo.

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    CommandGetSqlInfo, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo, SqlNullOrdering,
    SqlSupportedCaseSensitivity, SqlSupportedTransaction, XdbcDataType, XdbcDatetimeSubcode,
};
use datafusion::arrow::ARROW_VERSION;

use crate::error::Result;

use super::catalog::built;

pub(super) fn sql_info(ask: CommandGetSqlInfo) -> Result<RecordBatch> {
    built(ask.into_builder(sql_info_data()?).build())
}

pub(super) fn type_info(ask: CommandGetXdbcTypeInfo) -> Result<RecordBatch> {
    built(ask.into_builder(type_info_data()?).build())
}

pub(super) fn sql_info_data() -> Result<&'static SqlInfoData> {
    static DATA: LazyLock<arrow_flight::error::Result<SqlInfoData>> = LazyLock::new(describe);
    DATA.as_ref().map_err(|error| crate::bug!("the server cannot describe itself: {error}"))
}

pub(super) fn type_info_data() -> Result<&'static XdbcTypeInfoData> {
    static DATA: LazyLock<arrow_flight::error::Result<XdbcTypeInfoData>> = LazyLock::new(types);
    DATA.as_ref().map_err(|error| crate::bug!("the server cannot describe its types: {error}"))
}

fn describe() -> arrow_flight::error::Result<SqlInfoData> {
    use SqlInfo as I;
    let mut info = SqlInfoDataBuilder::new();
    info.append(I::FlightSqlServerName, "coterie");
    info.append(I::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(I::FlightSqlServerArrowVersion, ARROW_VERSION);
    info.append(I::FlightSqlServerReadOnly, false);
    info.append(I::FlightSqlServerSql, true);
    info.append(I::FlightSqlServerSubstrait, false);
    info.append(I::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    info.append(I::FlightSqlServerCancel, true);
    info.append(I::FlightSqlServerBulkIngestion, true);
    info.append(I::FlightSqlServerIngestTransactionsSupported, false);
    info.append(I::FlightSqlServerStatementTimeout, 0);
    info.append(I::FlightSqlServerTransactionTimeout, 0);
    for no in [I::SqlDdlCatalog, I::SqlDdlSchema] {
        info.append(no, false);
    }
    info.append(I::SqlDdlTable, true);
    info.append(I::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i64);
    info.append(I::SqlIdentifierQuoteChar, "\"");
    info.append(
        I::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i64,
    );
    info.append(I::SqlAllTablesAreSelectable, true);
    info.append(I::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i64);
    info.append(I::SqlKeywords, KEYWORDS);
    info.append(I::SqlNumericFunctions, NUMERIC);
    info.append(I::SqlStringFunctions, TEXT);
    info.append(I::SqlSystemFunctions, &["coalesce", "nullif", "version"][..]);
    info.append(I::SqlDatetimeFunctions, TIME);
    info.append(I::SqlSearchStringEscape, "\\");
    info.append(I::SqlExtraNameCharacters, "");
    for yes in [
        I::SqlSupportsColumnAliasing,
        I::SqlNullPlusNullIsNull,
        I::SqlSupportsTableCorrelationNames,
        I::SqlSupportsExpressionsInOrderBy,
        I::SqlSupportsOrderByUnrelated,
        I::SqlSupportsLikeEscapeClause,
        I::SqlSupportsNonNullableColumns,
        I::SqlCatalogAtStart,
        I::SqlCorrelatedSubqueriesSupported,
    ] {
        info.append(yes, true);
    }
    for no in [
        I::SqlSupportsDifferentTableCorrelationNames,
        I::SqlSupportsIntegrityEnhancementFacility,
        I::SqlSelectForUpdateSupported,
        I::SqlStoredProceduresSupported,
        I::SqlMaxRowSizeIncludesBlobs,
        I::SqlTransactionsSupported,
        I::SqlDataDefinitionCausesTransactionCommit,
        I::SqlDataDefinitionsInTransactionsIgnored,
        I::SqlBatchUpdatesSupported,
        I::SqlSavepointsSupported,
        I::SqlNamedParametersSupported,
        I::SqlLocatorsUpdateCopy,
        I::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        info.append(no, false);
    }
    // Bit 0: unrelated, bit 1: beyond select.
    info.append(I::SqlSupportedGroupBy, 0b11);
    // Minimum, core and extended grammar.
    info.append(I::SqlSupportedGrammar, 0b111);
    // Entry level.
    info.append(I::SqlAnsi92SupportedLevel, 0b1);
    // Full outer joins.
    info.append(I::SqlOuterJoinsSupportLevel, 0b100);
    info.append(I::SqlSchemaTerm, "schema");
    info.append(I::SqlProcedureTerm, "function");
    info.append(I::SqlCatalogTerm, "database");
    // Names with a schema or a catalog may stand in queries and where tables are defined, for schemas: in both.
    info.append(I::SqlSchemasSupportedActions, 0b101);
    info.append(I::SqlCatalogsSupportedActions, 0b101);
    info.append(I::SqlSupportedPositionedCommands, 0);
    // In comparisons, EXISTS, IN and quantified ones.
    info.append(I::SqlSupportedSubqueries, 0b1111);
    // UNION and UNION ALL.
    info.append(I::SqlSupportedUnions, 0b11);
    for unlimited in [
        I::SqlMaxBinaryLiteralLength,
        I::SqlMaxCharLiteralLength,
        I::SqlMaxColumnNameLength,
        I::SqlMaxColumnsInGroupBy,
        I::SqlMaxColumnsInIndex,
        I::SqlMaxColumnsInOrderBy,
        I::SqlMaxColumnsInSelect,
        I::SqlMaxColumnsInTable,
        I::SqlMaxConnections,
        I::SqlMaxCursorNameLength,
        I::SqlMaxIndexLength,
        I::SqlDbSchemaNameLength,
        I::SqlMaxProcedureNameLength,
        I::SqlMaxCatalogNameLength,
        I::SqlMaxRowSize,
        I::SqlMaxStatementLength,
        I::SqlMaxStatements,
        I::SqlMaxTableNameLength,
        I::SqlMaxTablesInSelect,
        I::SqlMaxUsernameLength,
    ] {
        info.append(unlimited, 0_i64);
    }
    info.append(I::SqlDefaultTransactionIsolation, 0_i64);
    info.append(I::SqlSupportedTransactionsIsolationLevels, 0b1);
    // Forward only, read only.
    info.append(I::SqlSupportedResultSetTypes, 0b10);
    info.append(I::SqlSupportedConcurrenciesForResultSetForwardOnly, 0b10);
    for none in [
        I::SqlSupportedConcurrenciesForResultSetUnspecified,
        I::SqlSupportedConcurrenciesForResultSetScrollSensitive,
        I::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
    ] {
        info.append(none, 0);
    }
    info.build()
}

/// Words that mean something here and are not SQL's.
const KEYWORDS: &[&str] =
    &["AUDIENCE", "EVALUATE", "LOOKUP", "PQL", "PROFILE", "SEGMENT", "SEGMENTS", "STORE"];

/// Functions of JDBC's and ODBC's escapes that exist under the same name.
const NUMERIC: &[&str] = &[
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cot", "degrees", "exp", "floor", "log", "log10",
    "pi", "power", "radians", "round", "signum", "sin", "sqrt", "tan",
];
const TEXT: &[&str] = &[
    "ascii",
    "char_length",
    "character_length",
    "chr",
    "concat",
    "lcase",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "substring",
    "trim",
    "upper",
];
const TIME: &[&str] = &["current_date", "current_time", "date_part", "date_trunc", "extract", "now"];

/// 1 is the subcode of a date; of the two names that the protocol has for it arrow-flight kept the other.
const DATE_SUBCODE: XdbcDatetimeSubcode = XdbcDatetimeSubcode::XdbcSubcodeYear;

fn types() -> arrow_flight::error::Result<XdbcTypeInfoData> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    let number = |name: &str, data_type, digits, unsigned, radix| XdbcTypeInfo {
        column_size: Some(digits),
        unsigned_attribute: Some(unsigned),
        num_prec_radix: Some(radix),
        auto_increment: Some(false),
        ..of(name, data_type)
    };
    let text = |name: &str, data_type, prefix: &str| XdbcTypeInfo {
        column_size: Some(i32::MAX),
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        case_sensitive: true,
        searchable: Searchable::Full,
        ..of(name, data_type)
    };
    types.append(XdbcTypeInfo { column_size: Some(1), ..of("BOOLEAN", XdbcDataType::XdbcBit) });
    types.append(number("TINYINT", XdbcDataType::XdbcTinyint, 3, false, 10));
    types.append(number("SMALLINT", XdbcDataType::XdbcSmallint, 5, false, 10));
    types.append(number("INTEGER", XdbcDataType::XdbcInteger, 10, false, 10));
    types.append(number("BIGINT", XdbcDataType::XdbcBigint, 19, false, 10));
    types.append(number("BIGINT UNSIGNED", XdbcDataType::XdbcBigint, 20, true, 10));
    types.append(number("REAL", XdbcDataType::XdbcReal, 24, false, 2));
    types.append(number("DOUBLE", XdbcDataType::XdbcDouble, 53, false, 2));
    types.append(XdbcTypeInfo {
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        fixed_prec_scale: false,
        minimum_scale: Some(0),
        maximum_scale: Some(38),
        ..number("DECIMAL", XdbcDataType::XdbcDecimal, 38, false, 10)
    });
    types.append(text("VARCHAR", XdbcDataType::XdbcVarchar, "'"));
    types.append(text("BYTEA", XdbcDataType::XdbcVarbinary, "X'"));
    let time = |name: &str, data_type, code, size, prefix: &str| XdbcTypeInfo {
        column_size: Some(size),
        literal_prefix: Some(format!("{prefix} '")),
        literal_suffix: Some("'".to_owned()),
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(code),
        ..of(name, data_type)
    };
    types.append(time("DATE", XdbcDataType::XdbcDate, DATE_SUBCODE, 10, "DATE"));
    types.append(time("TIME", XdbcDataType::XdbcTime, XdbcDatetimeSubcode::XdbcSubcodeTime, 18, "TIME"));
    types.append(time(
        "TIMESTAMP",
        XdbcDataType::XdbcTimestamp,
        XdbcDatetimeSubcode::XdbcSubcodeTimestamp,
        29,
        "TIMESTAMP",
    ));
    types.append(XdbcTypeInfo {
        literal_prefix: Some("INTERVAL '".to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..of("INTERVAL", XdbcDataType::XdbcInterval)
    });
    types.build()
}

fn of(name: &str, data_type: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        local_type_name: Some(name.to_owned()),
        data_type,
        sql_data_type: data_type,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Basic,
        ..XdbcTypeInfo::default()
    }
}
