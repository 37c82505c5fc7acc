//! Schema `pg_catalog`: the tables that tell of the database.
//!
//! Types, built-in functions and the like are PostgreSQL's own rows, which datafusion-pg-catalog ships. What is about
//! coterie's objects is made of [`Objects`]; what coterie has none of is empty.

use std::sync::{Arc, OnceLock};

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Result;
use datafusion_pg_catalog::pg_catalog::{ArrowTable, PgCatalogStaticTables};
use futures::future::BoxFuture;
use pgwire::api::Type;

use crate::engine::scope::Scope;
use crate::provider;
use crate::session::{CATALOG, instant_field};

use super::objects::{Constraint, DATABASE, NAMESPACES, Objects, ROLE, Relation, RelationSort};
use super::types::{length, modifier, type_of};
use super::{Facts, facts};

/// The name of the schema.
pub(in crate::engine) const NAME: &str = "pg_catalog";

/// PostgreSQL's own rows.
fn shipped() -> Result<&'static PgCatalogStaticTables> {
    static TABLES: OnceLock<std::result::Result<PgCatalogStaticTables, String>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| PgCatalogStaticTables::try_new().map_err(|error| error.to_string()));
    tables.as_ref().map_err(|error| crate::bug!("the tables of PostgreSQL cannot be read: {error}").into())
}

/// The functions of PostgreSQL.
pub(super) fn routines() -> Result<Vec<RecordBatch>> {
    Ok(shipped()?.pg_proc.data().to_vec())
}

/// The words of PostgreSQL's grammar.
pub(super) fn keywords() -> Result<Arc<ArrowTable>> {
    Ok(Arc::clone(&shipped()?.pg_get_keywords))
}

macro_rules! shipped_tables {
    ($($name:ident)+) => {
        const SHIPPED: &[&str] = &[$(stringify!($name)),+];

        fn shipped_table(name: &str) -> Result<Option<Arc<ArrowTable>>> {
            let tables = shipped()?;
            Ok(match name {
                $(stringify!($name) => Some(Arc::clone(&tables.$name)),)+
                _ => None,
            })
        }
    };
}

shipped_tables! {
    pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_auth_members pg_cast pg_collation pg_conversion
    pg_db_role_setting pg_default_acl pg_enum pg_event_trigger pg_foreign_data_wrapper
    pg_foreign_server pg_foreign_table pg_inherits pg_init_privs pg_language pg_largeobject
    pg_largeobject_metadata pg_opclass pg_operator pg_opfamily pg_partitioned_table pg_policy pg_proc pg_publication
    pg_publication_namespace pg_publication_rel pg_range pg_replication_origin pg_rewrite pg_seclabel pg_sequence
    pg_shdepend pg_shdescription pg_shseclabel pg_statistic pg_statistic_ext pg_statistic_ext_data pg_subscription
    pg_subscription_rel pg_tablespace pg_trigger pg_ts_config pg_ts_dict pg_ts_parser pg_ts_template pg_type
    pg_user_mapping pg_extension pg_depend
}

/// The tables that are made here.
const MADE: &[&str] = &[
    "pg_attribute",
    "pg_authid",
    "pg_class",
    "pg_constraint",
    "pg_database",
    "pg_description",
    "pg_index",
    "pg_indexes",
    "pg_namespace",
    "pg_roles",
    "pg_settings",
    "pg_stat_activity",
    "pg_tables",
    "pg_user",
    "pg_views",
];

/// Tables of things that coterie has none of: names with columns and their types.
const EMPTY: &[(&str, &str)] = &[
    ("pg_available_extensions", "name:t default_version:t installed_version:t comment:t"),
    ("pg_cursors", "name:t statement:t is_holdable:b is_binary:b is_scrollable:b creation_time:z"),
    ("pg_file_settings", "sourcefile:t sourceline:i seqno:i name:t setting:t applied:b error:t"),
    ("pg_group", "groname:t grosysid:i grolist:t"),
    (
        "pg_hba_file_rules",
        "line_number:i type:t database:t user_name:t address:t netmask:t auth_method:t options:t error:t",
    ),
    (
        "pg_locks",
        "locktype:t database:i relation:i page:i tuple:h virtualxid:t transactionid:i classid:i objid:i objsubid:h virtualtransaction:t pid:i mode:t granted:b fastpath:b waitstart:z",
    ),
    (
        "pg_matviews",
        "schemaname:t matviewname:t matviewowner:t tablespace:t hasindexes:b ispopulated:b definition:t",
    ),
    ("pg_parameter_acl", "oid:i parname:t paracl:t"),
    ("pg_policies", "schemaname:t tablename:t policyname:t permissive:t roles:t cmd:t qual:t with_check:t"),
    (
        "pg_prepared_statements",
        "name:t statement:t prepare_time:z parameter_types:t from_sql:b generic_plans:l custom_plans:l",
    ),
    ("pg_prepared_xacts", "transaction:i gid:t prepared:z owner:t database:t"),
    ("pg_publication_tables", "pubname:t schemaname:t tablename:t attnames:t rowfilter:t"),
    (
        "pg_replication_slots",
        "slot_name:t plugin:t slot_type:t datoid:i database:t temporary:b active:b active_pid:i xmin:i catalog_xmin:i restart_lsn:t confirmed_flush_lsn:t",
    ),
    ("pg_rules", "schemaname:t tablename:t rulename:t definition:t"),
    (
        "pg_sequences",
        "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:l min_value:l max_value:l increment_by:l cycle:b cache_size:l last_value:l",
    ),
    (
        "pg_shadow",
        "usename:t usesysid:i usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:z useconfig:t",
    ),
    (
        "pg_stat_all_indexes",
        "relid:i indexrelid:i schemaname:t relname:t indexrelname:t idx_scan:l idx_tup_read:l idx_tup_fetch:l",
    ),
    (
        "pg_stat_all_tables",
        "relid:i schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l n_tup_upd:l n_tup_del:l n_live_tup:l n_dead_tup:l last_vacuum:z last_analyze:z",
    ),
    (
        "pg_stat_database",
        "datid:i datname:t numbackends:i xact_commit:l xact_rollback:l blks_read:l blks_hit:l tup_returned:l tup_fetched:l tup_inserted:l tup_updated:l tup_deleted:l",
    ),
    ("pg_stat_gssapi", "pid:i gss_authenticated:b principal:t encrypted:b credentials_delegated:b"),
    (
        "pg_stat_replication",
        "pid:i usesysid:i usename:t application_name:t client_addr:t state:t sync_state:t",
    ),
    ("pg_stat_ssl", "pid:i ssl:b version:t cipher:t bits:i client_dn:t client_serial:t issuer_dn:t"),
    (
        "pg_stat_user_indexes",
        "relid:i indexrelid:i schemaname:t relname:t indexrelname:t idx_scan:l idx_tup_read:l idx_tup_fetch:l",
    ),
    (
        "pg_stat_user_tables",
        "relid:i schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l idx_tup_fetch:l n_tup_ins:l n_tup_upd:l n_tup_del:l n_live_tup:l n_dead_tup:l last_vacuum:z last_analyze:z",
    ),
    ("pg_statio_user_tables", "relid:i schemaname:t relname:t heap_blks_read:l heap_blks_hit:l"),
    ("pg_stats", "schemaname:t tablename:t attname:t inherited:b null_frac:f avg_width:i n_distinct:f"),
    ("pg_timezone_abbrevs", "abbrev:t utc_offset:t is_dst:b"),
    ("pg_timezone_names", "name:t abbrev:t utc_offset:t is_dst:b"),
    ("pg_transform", "oid:i trftype:i trflang:i trffromsql:t trftosql:t"),
    ("pg_user_mappings", "umid:i srvid:i srvname:t umuser:i usename:t umoptions:t"),
];

/// Whether the schema has a table.
pub(super) fn is_table(name: &str) -> bool {
    MADE.contains(&name) || SHIPPED.contains(&name) || EMPTY.iter().any(|(known, _)| *known == name)
}

/// Whether a table of the schema never has rows.
pub(super) fn is_empty(name: &str) -> bool {
    let shipped = || shipped_table(name).ok().flatten();
    EMPTY.iter().any(|(known, _)| *known == name)
        || shipped().is_some_and(|table| table.data().iter().all(|batch| batch.num_rows() == 0))
}

fn names() -> impl Iterator<Item = &'static str> {
    let empty = EMPTY.iter().map(|(name, _)| *name);
    MADE.iter().copied().chain(SHIPPED.iter().copied()).chain(empty)
}

/// The numbers that PostgreSQL itself has for its tables, where rows refer to them.
const NUMBERS: &[(&str, i32)] = &[
    ("pg_attrdef", 2604),
    ("pg_attribute", 1249),
    ("pg_authid", 1260),
    ("pg_cast", 2605),
    ("pg_class", 1259),
    ("pg_collation", 3456),
    ("pg_constraint", 2606),
    ("pg_database", 1262),
    ("pg_extension", 3079),
    ("pg_foreign_server", 1417),
    ("pg_index", 2610),
    ("pg_language", 2612),
    ("pg_namespace", 2615),
    ("pg_opclass", 2616),
    ("pg_operator", 2617),
    ("pg_opfamily", 2753),
    ("pg_proc", 1255),
    ("pg_publication", 6104),
    ("pg_rewrite", 2618),
    ("pg_tablespace", 1213),
    ("pg_trigger", 2620),
    ("pg_type", 1247),
];

/// The number of a table of this schema, where rows refer to it.
pub(super) fn number_of(name: &str) -> Option<i32> {
    NUMBERS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The tables of this schema, as objects.
pub(super) fn relations() -> Result<Vec<Relation>> {
    let relations = names().zip(12_000..).map(|(name, next)| {
        let oid = number_of(name).unwrap_or(next);
        Ok(Relation {
            oid,
            schema: NAME.to_owned(),
            name: name.to_owned(),
            sort: if name.ends_with('s') && !SHIPPED.contains(&name) {
                RelationSort::View
            } else {
                RelationSort::Table
            },
            columns: shipped_table(name)?.map(|table| table.schema()),
            query: None,
            comment: None,
        })
    });
    relations.collect()
}

/// The schema, as a statement sees it.
#[derive(Debug)]
pub(in crate::engine) struct Catalog(pub(in crate::engine) Arc<Scope>);

impl provider::Schema for Catalog {
    fn names(&self) -> Vec<String> {
        names().map(str::to_owned).collect()
    }

    fn table<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Arc<dyn TableProvider>>>> {
        Box::pin(async move {
            if let Some(columns) = EMPTY.iter().find(|(known, _)| *known == name).map(|(_, columns)| columns)
            {
                return Ok(Some(empty(columns)?));
            }
            if let Some(table) = shipped_table(name)? {
                return Ok(Some(with_old_names(name, &table)?));
            }
            if !MADE.contains(&name) {
                return Ok(None);
            }
            let Some(facts) = facts(self.0.options()) else { return Ok(None) };
            let objects = self.0.objects().await?;
            Ok(Some(made(name, &self.0, &objects, &facts)?))
        })
    }

    fn has(&self, name: &str) -> bool {
        is_table(name)
    }
}

/// Columns that have another name since: in which table, the old name, the new one.
const OLD_NAMES: &[(&str, &str, &str)] = &[("pg_collation", "colliculocale", "colllocale")];

/// A table with its columns under the names that they had in the version that clients are told, too.
fn with_old_names(name: &str, table: &ArrowTable) -> Result<Arc<dyn TableProvider>> {
    let (mut fields, mut added) = (table.schema().fields().to_vec(), vec![]);
    for (_, old, new) in OLD_NAMES.iter().filter(|(known, ..)| *known == name) {
        if let Ok(at) = table.schema().index_of(new) {
            let field = fields.get(at).map(|field| field.as_ref().clone().with_name(*old));
            fields.extend(field.map(Arc::new));
            added.push(at);
        }
    }
    let schema = Arc::new(Schema::new(fields));
    let batches = table.data().iter().map(|batch| {
        let more = added.iter().map(|at| Arc::clone(batch.column(*at)));
        let columns = batch.columns().iter().cloned().chain(more).collect();
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    });
    let batches = batches.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
}

fn empty(columns: &str) -> Result<Arc<dyn TableProvider>> {
    let fields = columns.split(' ').map(|column| {
        let (name, kind) = column.split_once(':').unwrap_or((column, "t"));
        let kind = match kind {
            "b" => DataType::Boolean,
            "h" => DataType::Int16,
            "i" => DataType::Int32,
            "l" => DataType::Int64,
            "f" => DataType::Float32,
            "z" => return instant_field(name),
            _ => DataType::Utf8,
        };
        Field::new(name, kind, true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![]])?))
}

/// A table that grows column by column.
pub(super) struct Columns<'a, T> {
    rows: &'a [T],
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl<'a, T> Columns<'a, T> {
    pub(super) fn of(rows: &'a [T]) -> Self {
        Self { rows, fields: vec![], arrays: vec![] }
    }

    fn add(mut self, field: Field, array: ArrayRef) -> Self {
        self.fields.push(field);
        self.arrays.push(array);
        self
    }

    fn oid(self, name: &str, value: impl Fn(&T) -> i32) -> Self {
        let metadata = [(arrow_pg::datatypes::PG_OID_ALIAS_KEY.to_owned(), "oid".to_owned())];
        let field = Field::new(name, DataType::Int32, true).with_metadata(metadata.into());
        let array = self.rows.iter().map(|row| Some(value(row))).collect::<Int32Array>();
        self.add(field, Arc::new(array))
    }

    pub(super) fn text<S: Into<String>>(self, name: &str, value: impl Fn(&'a T) -> Option<S>) -> Self {
        let array = self.rows.iter().map(|row| value(row).map(Into::into)).collect::<StringArray>();
        self.add(Field::new(name, DataType::Utf8, true), Arc::new(array))
    }

    pub(super) fn word(self, name: &str, value: &'static str) -> Self {
        self.text(name, |_| Some(value))
    }

    pub(super) fn none(self, name: &str) -> Self {
        self.text(name, |_| None::<String>)
    }

    /// A list of texts that is not there: who may do what to a thing.
    fn no_list(self, name: &str) -> Self {
        let kind = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
        let array = arrow::array::new_null_array(&kind, self.rows.len());
        self.add(Field::new(name, kind, true), array)
    }

    fn bool(self, name: &str, value: impl Fn(&T) -> bool) -> Self {
        let array = self.rows.iter().map(|row| Some(value(row))).collect::<BooleanArray>();
        self.add(Field::new(name, DataType::Boolean, true), Arc::new(array))
    }

    fn short(self, name: &str, value: impl Fn(&T) -> i16) -> Self {
        let array = self.rows.iter().map(|row| Some(value(row))).collect::<Int16Array>();
        self.add(Field::new(name, DataType::Int16, true), Arc::new(array))
    }

    pub(super) fn int(self, name: &str, value: impl Fn(&T) -> Option<i32>) -> Self {
        let array = self.rows.iter().map(value).collect::<Int32Array>();
        self.add(Field::new(name, DataType::Int32, true), Arc::new(array))
    }

    fn long(self, name: &str, value: impl Fn(&T) -> Option<i64>) -> Self {
        let array = self.rows.iter().map(value).collect::<Int64Array>();
        self.add(Field::new(name, DataType::Int64, true), Arc::new(array))
    }

    fn float(self, name: &str, value: f32) -> Self {
        let array = self.rows.iter().map(|_| Some(value)).collect::<Float32Array>();
        self.add(Field::new(name, DataType::Float32, true), Arc::new(array))
    }

    fn instant(self, name: &str, value: impl Fn(&T) -> Option<i64>) -> Self {
        let array = self.rows.iter().map(value).collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        self.add(instant_field(name), Arc::new(array))
    }

    /// A list of short numbers, which is how PostgreSQL keeps the columns of a key.
    fn shorts(self, name: &str, value: impl Fn(&T) -> Option<i16>) -> Self {
        let mut list = ListBuilder::new(Int16Array::builder(0));
        for row in self.rows {
            match value(row) {
                Some(number) => {
                    list.values().append_value(number);
                    list.append(true);
                }
                None => list.append(false),
            }
        }
        let kind = DataType::List(Arc::new(Field::new_list_field(DataType::Int16, true)));
        self.add(Field::new(name, kind, true), Arc::new(list.finish()))
    }

    pub(super) fn table(self) -> Result<Arc<dyn TableProvider>> {
        let schema: SchemaRef = Arc::new(Schema::new(self.fields));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), self.arrays, &options)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

/// A column of a relation.
pub(super) struct Attribute<'a> {
    pub(super) relation: &'a Relation,
    pub(super) number: i16,
    pub(super) field: Field,
}

/// The columns of all relations, those of indexes too.
pub(super) fn attributes(objects: &Objects) -> Vec<Attribute<'_>> {
    let mut attributes = vec![];
    for relation in &objects.relations {
        if let RelationSort::Index(table, column) = relation.sort {
            let columns = objects.relation(table).and_then(|table| table.columns.as_ref());
            let at = usize::try_from(column - 1).unwrap_or(0);
            if let Some(field) = columns.and_then(|columns| columns.fields().get(at)) {
                attributes.push(Attribute { relation, number: 1, field: field.as_ref().clone() });
            }
        }
        let fields = relation.columns.iter().flat_map(|columns| columns.fields().iter());
        attributes.extend((1..).zip(fields).map(|(number, field)| Attribute {
            relation,
            number,
            field: field.as_ref().clone(),
        }));
    }
    attributes
}

fn made(name: &str, scope: &Scope, objects: &Objects, facts: &Facts) -> Result<Arc<dyn TableProvider>> {
    match name {
        "pg_attribute" => pg_attribute(objects),
        "pg_class" => pg_class(objects),
        "pg_constraint" => pg_constraint(objects),
        "pg_database" => pg_database(),
        "pg_description" => pg_description(objects),
        "pg_index" => pg_index(objects),
        "pg_indexes" => pg_indexes(objects),
        "pg_namespace" => pg_namespace(),
        "pg_settings" => pg_settings(facts),
        "pg_stat_activity" => pg_stat_activity(scope, facts),
        "pg_tables" => pg_tables(objects, facts),
        "pg_user" => pg_user(facts),
        "pg_views" => pg_views(objects, facts),
        "pg_authid" => pg_roles(facts, true),
        _ => pg_roles(facts, false),
    }
}

fn pg_class(objects: &Objects) -> Result<Arc<dyn TableProvider>> {
    let has_key = |relation: &Relation| {
        objects.constraints.iter().any(|key| key.table == relation.oid && key.index != 0)
    };
    Columns::of(&objects.relations)
        .oid("oid", |r| r.oid)
        .text("relname", |r| Some(&r.name))
        .oid("relnamespace", |r| r.namespace())
        .oid("reltype", |_| 0)
        .oid("reloftype", |_| 0)
        .oid("relowner", |_| ROLE)
        .oid("relam", |r| match r.sort {
            RelationSort::Table => 2,
            RelationSort::View => 0,
            RelationSort::Index(..) => 403,
        })
        .oid("relfilenode", |_| 0)
        .oid("reltablespace", |_| 0)
        .int("relpages", |_| Some(0))
        .float("reltuples", -1.0)
        .int("relallvisible", |_| Some(0))
        .oid("reltoastrelid", |_| 0)
        .bool("relhasindex", has_key)
        .bool("relisshared", |_| false)
        .word("relpersistence", "p")
        .text("relkind", |r| Some(r.letter()))
        .short("relnatts", |r| {
            let count = r.columns.as_ref().map_or(1, |columns| columns.fields().len());
            i16::try_from(count).unwrap_or(i16::MAX)
        })
        .short("relchecks", |_| 0)
        .bool("relhasrules", |r| r.sort == RelationSort::View)
        .bool("relhastriggers", |_| false)
        .bool("relhassubclass", |_| false)
        .bool("relrowsecurity", |_| false)
        .bool("relforcerowsecurity", |_| false)
        .bool("relispopulated", |_| true)
        .word("relreplident", "d")
        .bool("relispartition", |_| false)
        .oid("relrewrite", |_| 0)
        .int("relfrozenxid", |_| Some(0))
        .int("relminmxid", |_| Some(0))
        .no_list("relacl")
        .no_list("reloptions")
        .none("relpartbound")
        // Of before PostgreSQL 12.
        .bool("relhasoids", |_| false)
        .table()
}

fn pg_attribute(objects: &Objects) -> Result<Arc<dyn TableProvider>> {
    let keys = |a: &Attribute<'_>| {
        objects
            .constraints
            .iter()
            .any(|key| key.index != 0 && key.table == a.relation.oid && key.column == a.number)
    };
    Columns::of(&attributes(objects))
        .oid("attrelid", |a| a.relation.oid)
        .text("attname", |a| Some(a.field.name()))
        .oid("atttypid", |a| i32::try_from(type_of(&a.field).oid()).unwrap_or(0))
        .int("attstattarget", |_| Some(-1))
        .short("attlen", |a| length(&type_of(&a.field)))
        .short("attnum", |a| a.number)
        .int("attndims", |a| Some(i32::from(matches!(a.field.data_type(), DataType::List(_)))))
        .int("attcacheoff", |_| Some(-1))
        .int("atttypmod", |a| Some(modifier(a.field.data_type())))
        .bool("attbyval", |a| matches!(length(&type_of(&a.field)), 1..=8))
        .word("attalign", "i")
        .word("attstorage", "p")
        .word("attcompression", "")
        .bool("attnotnull", keys)
        .bool("atthasdef", |_| false)
        .bool("atthasmissing", |_| false)
        .word("attidentity", "")
        .word("attgenerated", "")
        .bool("attisdropped", |_| false)
        .bool("attislocal", |_| true)
        .int("attinhcount", |_| Some(0))
        // That of its type, always.
        .oid("attcollation", |a| match type_of(&a.field) {
            Type::TEXT | Type::TEXT_ARRAY => 100,
            _ => 0,
        })
        .no_list("attacl")
        .no_list("attoptions")
        .no_list("attfdwoptions")
        .none("attmissingval")
        .table()
}

fn pg_constraint(objects: &Objects) -> Result<Arc<dyn TableProvider>> {
    let namespace = |c: &Constraint| objects.relation(c.table).map_or(0, Relation::namespace);
    Columns::of(&objects.constraints)
        .oid("oid", |c| c.oid)
        .text("conname", |c| Some(&c.name))
        .oid("connamespace", namespace)
        .text("contype", |c| Some(if c.refers.is_some() { "f" } else { "p" }))
        .bool("condeferrable", |_| false)
        .bool("condeferred", |_| false)
        // Nothing enforces them.
        .bool("convalidated", |_| false)
        .oid("conrelid", |c| c.table)
        .oid("contypid", |_| 0)
        .oid("conindid", |c| match c.refers {
            Some((table, _)) => objects
                .constraints
                .iter()
                .find(|key| key.index != 0 && key.table == table)
                .map_or(0, |key| key.index),
            None => c.index,
        })
        .oid("conparentid", |_| 0)
        .oid("confrelid", |c| c.refers.map_or(0, |(table, _)| table))
        .text("confupdtype", |c| Some(if c.refers.is_some() { "a" } else { " " }))
        .text("confdeltype", |c| Some(if c.refers.is_some() { "a" } else { " " }))
        .text("confmatchtype", |c| Some(if c.refers.is_some() { "s" } else { " " }))
        .bool("conislocal", |_| true)
        .int("coninhcount", |_| Some(0))
        .bool("connoinherit", |_| true)
        .shorts("conkey", |c| Some(c.column))
        .shorts("confkey", |c| c.refers.map(|(_, column)| column))
        .none("conpfeqop")
        .none("conppeqop")
        .none("conffeqop")
        .none("confdelsetcols")
        .none("conexclop")
        .none("conbin")
        .table()
}

fn primary_keys(objects: &Objects) -> Vec<&Constraint> {
    objects.constraints.iter().filter(|key| key.index != 0).collect()
}

fn pg_index(objects: &Objects) -> Result<Arc<dyn TableProvider>> {
    Columns::of(&primary_keys(objects))
        .oid("indexrelid", |key| key.index)
        .oid("indrelid", |key| key.table)
        .short("indnatts", |_| 1)
        .short("indnkeyatts", |_| 1)
        .bool("indisunique", |_| true)
        .bool("indnullsnotdistinct", |_| false)
        .bool("indisprimary", |_| true)
        .bool("indisexclusion", |_| false)
        .bool("indimmediate", |_| true)
        .bool("indisclustered", |_| false)
        .bool("indisvalid", |_| true)
        .bool("indcheckxmin", |_| false)
        .bool("indisready", |_| true)
        .bool("indislive", |_| true)
        .bool("indisreplident", |_| false)
        .shorts("indkey", |key| Some(key.column))
        .shorts("indcollation", |_| Some(0))
        .shorts("indclass", |_| Some(0))
        .shorts("indoption", |_| Some(0))
        .none("indexprs")
        .none("indpred")
        .table()
}

fn pg_indexes(objects: &Objects) -> Result<Arc<dyn TableProvider>> {
    let schema = |key: &&Constraint| objects.relation(key.table).map(|table| table.schema.clone());
    Columns::of(&primary_keys(objects))
        .text("schemaname", schema)
        .text("tablename", |key| objects.relation(key.table).map(|table| table.name.clone()))
        .text("indexname", |key| Some(&key.name))
        .none("tablespace")
        .text("indexdef", |key| {
            objects.relation(key.index).and_then(|index| super::functions::index_definition(objects, index))
        })
        .table()
}

fn pg_description(objects: &Objects) -> Result<Arc<dyn TableProvider>> {
    let commented: Vec<&Relation> =
        objects.relations.iter().filter(|relation| relation.comment.is_some()).collect();
    Columns::of(&commented)
        .oid("objoid", |r| r.oid)
        .oid("classoid", |_| 1259)
        .int("objsubid", |_| Some(0))
        .text("description", |r| r.comment.clone())
        .table()
}

fn pg_namespace() -> Result<Arc<dyn TableProvider>> {
    Columns::of(NAMESPACES)
        .oid("oid", |(_, oid)| *oid)
        .text("nspname", |(name, _)| Some(*name))
        .oid("nspowner", |_| ROLE)
        .no_list("nspacl")
        .table()
}

fn pg_database() -> Result<Arc<dyn TableProvider>> {
    Columns::of(&[CATALOG])
        .oid("oid", |_| DATABASE)
        .text("datname", |name| Some(*name))
        .oid("datdba", |_| ROLE)
        .int("encoding", |_| Some(6))
        .word("datlocprovider", "c")
        .bool("datistemplate", |_| false)
        .bool("datallowconn", |_| true)
        .int("datconnlimit", |_| Some(-1))
        .oid("datlastsysoid", |_| 0)
        .int("datfrozenxid", |_| Some(0))
        .int("datminmxid", |_| Some(0))
        .oid("dattablespace", |_| 1663)
        .word("datcollate", "C")
        .word("datctype", "C")
        .none("daticulocale")
        .none("datlocale")
        .none("daticurules")
        .none("datcollversion")
        .no_list("datacl")
        .table()
}

fn pg_roles(facts: &Facts, with_password: bool) -> Result<Arc<dyn TableProvider>> {
    let admin = facts.is_admin;
    let rows = [facts.user.as_str()];
    let columns = Columns::of(&rows)
        .text("rolname", |name| Some(*name))
        .bool("rolsuper", |_| admin)
        .bool("rolinherit", |_| true)
        .bool("rolcreaterole", |_| false)
        .bool("rolcreatedb", |_| false)
        .bool("rolcanlogin", |_| true)
        .bool("rolreplication", |_| false)
        .int("rolconnlimit", |_| Some(-1))
        .none("rolpassword")
        .instant("rolvaliduntil", |_| None)
        .bool("rolbypassrls", |_| false);
    let columns = if with_password { columns } else { columns.none("rolconfig") };
    columns.oid("oid", |_| ROLE).table()
}

fn pg_user(facts: &Facts) -> Result<Arc<dyn TableProvider>> {
    let admin = facts.is_admin;
    Columns::of(&[facts.user.as_str()])
        .text("usename", |name| Some(*name))
        .oid("usesysid", |_| ROLE)
        .bool("usecreatedb", |_| false)
        .bool("usesuper", |_| admin)
        .bool("userepl", |_| false)
        .bool("usebypassrls", |_| false)
        .none("passwd")
        .instant("valuntil", |_| None)
        .none("useconfig")
        .table()
}

fn pg_settings(facts: &Facts) -> Result<Arc<dyn TableProvider>> {
    let settings: Vec<(String, String)> = facts.all().into_iter().collect();
    Columns::of(&settings)
        .text("name", |(name, _)| Some(name))
        .text("setting", |(_, value)| Some(value))
        .none("unit")
        .word("category", "Client Connection Defaults")
        .word("short_desc", "")
        .none("extra_desc")
        .word("context", "user")
        .word("vartype", "string")
        .word("source", "session")
        .none("min_val")
        .none("max_val")
        .none("enumvals")
        .text("boot_val", |(_, value)| Some(value))
        .text("reset_val", |(_, value)| Some(value))
        .none("sourcefile")
        .int("sourceline", |_| None)
        .bool("pending_restart", |_| false)
        .table()
}

fn of_sort(objects: &Objects, sort: RelationSort) -> Vec<&Relation> {
    objects.relations.iter().filter(|relation| relation.sort == sort).collect()
}

fn pg_tables(objects: &Objects, facts: &Facts) -> Result<Arc<dyn TableProvider>> {
    Columns::of(&of_sort(objects, RelationSort::Table))
        .text("schemaname", |r| Some(&r.schema))
        .text("tablename", |r| Some(&r.name))
        .text("tableowner", |_| Some(&facts.user))
        .none("tablespace")
        .bool("hasindexes", |_| false)
        .bool("hasrules", |_| false)
        .bool("hastriggers", |_| false)
        .bool("rowsecurity", |_| false)
        .table()
}

fn pg_views(objects: &Objects, facts: &Facts) -> Result<Arc<dyn TableProvider>> {
    Columns::of(&of_sort(objects, RelationSort::View))
        .text("schemaname", |r| Some(&r.schema))
        .text("viewname", |r| Some(&r.name))
        .text("viewowner", |_| Some(&facts.user))
        .text("definition", |r| r.query.clone())
        .table()
}

/// The statements that run, those of other protocols too, as far as they may be seen.
fn pg_stat_activity(scope: &Scope, facts: &Facts) -> Result<Arc<dyn TableProvider>> {
    let running = scope.engine.queries().running();
    let running: Vec<_> = running.into_iter().filter(|query| scope.principal.may_see(query)).collect();
    let name = facts.get("application_name");
    Columns::of(&running)
        .oid("datid", |_| DATABASE)
        .word("datname", CATALOG)
        .int("pid", |query| (query.client.address == Some(facts.address)).then_some(facts.number))
        .int("leader_pid", |_| None)
        .oid("usesysid", |_| ROLE)
        .text("usename", |query| Some(query.client.principal.name.clone()))
        .text("application_name", |query| {
            if query.client.address == Some(facts.address) { name.clone() } else { None }
        })
        .text("client_addr", |query| query.client.address.map(|address| address.ip().to_string()))
        .none("client_hostname")
        .int("client_port", |query| query.client.address.map(|address| i32::from(address.port())))
        .instant("backend_start", |query| Some(query.started_at.timestamp_micros()))
        .instant("xact_start", |query| Some(query.started_at.timestamp_micros()))
        .instant("query_start", |query| Some(query.started_at.timestamp_micros()))
        .instant("state_change", |query| Some(query.started_at.timestamp_micros()))
        .none("wait_event_type")
        .none("wait_event")
        .word("state", "active")
        .int("backend_xid", |_| None)
        .int("backend_xmin", |_| None)
        .long("query_id", |_| None)
        .text("query", |query| Some(query.text.clone()))
        .word("backend_type", "client backend")
        .table()
}
