//! Random people, events, payments, products and plans, with all that is awkward about real ones: NULLs everywhere,
//! ties of time, times on the edges of windows and after now, people without events, events without people.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use chrono::{NaiveDateTime, TimeDelta};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use serde_json::{Map, Value as Json, json};

use super::random::Random;
use super::value::Value;

/// A table: its columns, and a value a column and row.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<(&'static str, DataType)>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// An event table with the columns that make it one.
pub(crate) struct Events {
    pub(crate) table: Table,
    pub(crate) key: &'static str,
    pub(crate) time: &'static str,
    pub(crate) lookups: Vec<usize>,
}

/// A table with a row a key.
pub(crate) struct Lookup {
    pub(crate) table: Table,
    /// Its key, and the column that refers to it, which has the same name.
    pub(crate) key: &'static str,
}

/// Everything that rules are about.
pub(crate) struct World {
    pub(crate) people: Table,
    pub(crate) events: Vec<Events>,
    pub(crate) lookups: Vec<Lookup>,
    pub(crate) now: NaiveDateTime,
    /// In how many files each event table is written, and how many rows a row group has.
    layout: (usize, usize),
    /// Whether repeated texts are written as dictionaries.
    dictionaries: bool,
    pub(crate) seed: u64,
}

/// The types that columns are written with, whatever the interpreter thinks of them.
struct Written {
    whole: DataType,
    real: DataType,
    text: DataType,
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| *column == name)
    }
}

const COUNTRIES: &[&str] = &["DE", "FR", "US", "CA", ""];
const KINDS: &[&str] = &["search", "view", "cart", "purchase", "Purchase"];
const SKUS: &[&str] = &["A-1", "B_2", "C%3", "É4", "d'5"];
const TAGS: &[&str] = &["new", "sale", "DE", "x_y", "日本"];

impl World {
    pub(crate) fn random(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xDA7A);
        let now: NaiveDateTime = "2026-06-15T12:00:00".parse().unwrap();
        let numbered = random.chance(1, 3);
        let zone = random.chance(1, 3).then(|| Arc::from("UTC"));
        let unit = if random.chance(1, 3) { TimeUnit::Millisecond } else { TimeUnit::Microsecond };
        let time = DataType::Timestamp(unit, zone);
        let key_type = if numbered { DataType::Int64 } else { DataType::Utf8 };
        // Some texts sort unlike the numbers in them.
        let key = |n: usize| if numbered { Value::Int(n as i64 - 3) } else { Value::Text(format!("p{n}")) };
        let n_people =
            [0, 1, 25, 40, 60][if random.chance(1, 12) { random.below(2) } else { 2 + random.below(3) }];
        let people = (0..n_people).map(|n| {
            let id = if random.chance(1, 25) { Value::Null } else { key(n) };
            vec![
                id,
                pick(&mut random, COUNTRIES),
                whole(&mut random, 12),
                real(&mut random),
                maybe(&mut random, |random| Value::Bool(random.chance(1, 2))),
                tags(&mut random),
                instant(&mut random, now, 400),
                pick(&mut random, &["free", "basic", "gold", "gone"]),
                maybe(&mut random, |random| {
                    Value::Row(vec![("city", pick(random, &["Bonn", "Lyon"])), ("floor", whole(random, 5))])
                }),
            ]
        });
        let people =
            Table { name: "people", columns: people_columns(&key_type, &time), rows: people.collect() };
        let (mut rows, mut payments) = (vec![], vec![]);
        for n in 0..n_people + 2 {
            // The last are nobody's.
            let own = if n > n_people { Value::Null } else { key(n) };
            let many = [0, 1, 2, 4, 8, 16, 30][random.below(7)];
            let mut last = instant(&mut random, now, 120);
            for _ in 0..random.below(many + 1) {
                if !random.chance(1, 4) {
                    last = instant(&mut random, now, 120);
                }
                rows.push(vec![
                    own.clone(),
                    Value::Text(format!("e{:04}", random.below(9999))),
                    last.clone(),
                    pick(&mut random, KINDS),
                    pick(&mut random, SKUS),
                    real(&mut random),
                    whole(&mut random, 6),
                    pick(&mut random, COUNTRIES),
                    tags(&mut random),
                    maybe(&mut random, |random| {
                        Value::Row(vec![("os", pick(random, &["ios", "mac"])), ("width", whole(random, 9))])
                    }),
                ]);
            }
            for _ in 0..random.below(1 + many / 2) {
                payments.push(vec![
                    own.clone(),
                    instant(&mut random, now, 90),
                    pick(&mut random, &["card", "cash"]),
                    real(&mut random),
                ]);
            }
        }
        // Ties of time and id would leave the order open.
        for (at, row) in rows.iter_mut().enumerate() {
            row[1] = Value::Text(format!("{:03}{at:04}", random.below(999)));
        }
        shuffle(&mut rows, &mut random);
        let table = Table { name: "events", columns: event_columns(&key_type, &time), rows };
        let mut events = vec![Events { table, key: "person", time: "at", lookups: vec![0] }];
        if random.chance(1, 2) {
            let columns = vec![
                ("payer", key_type),
                ("paid_at", time),
                ("method", DataType::Utf8),
                ("amount", DataType::Float64),
            ];
            let table = Table { name: "payments", columns, rows: payments };
            events.push(Events { table, key: "payer", time: "paid_at", lookups: vec![] });
        }
        let layout = (1 + random.below(3), [7, 64, 100_000][random.below(3)]);
        let dictionaries = random.chance(1, 3);
        let lookups = lookups(&mut random);
        Self { people, events, lookups, now, layout, dictionaries, seed }
    }

    /// The statements that declare the world's tables, which are written into a folder, and the store `world`.
    pub(crate) fn declare(&self, folder: &Path) -> String {
        let mut sql = String::new();
        let mut random = Random::new(self.seed);
        let tables =
            std::iter::once((&self.people, 1)).chain(self.lookups.iter().map(|lookup| (&lookup.table, 1)));
        for (table, n_files) in tables.chain(self.events.iter().map(|events| (&events.table, self.layout.0)))
        {
            let place = folder.join(format!("{}-{}", table.name, self.seed));
            std::fs::create_dir_all(&place).unwrap();
            let mut files = vec![vec![]; n_files];
            for row in &table.rows {
                files[random.below(n_files)].push(row);
            }
            for (at, rows) in files.iter().enumerate() {
                let file = std::fs::File::create(place.join(format!("{at}.parquet"))).unwrap();
                let batch = self.batch(table, rows);
                let properties =
                    WriterProperties::builder().set_max_row_group_row_count(Some(self.layout.1)).build();
                let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
                writer.write(&batch).unwrap();
                writer.close().unwrap();
            }
            let place = place.display();
            sql += &format!("CREATE EXTERNAL TABLE {} STORED AS PARQUET LOCATION '{place}/';\n", table.name);
        }
        sql += "CREATE PROFILE STORE world PROFILES people KEY (id)\n  EVENTS events KEY (person) TIMESTAMP (at) ID (_id)\n";
        if self.events.len() > 1 {
            sql += "  EVENTS payments KEY (payer) TIMESTAMP (paid_at)\n";
        }
        sql + "  LOOKUP products KEY (sku) ON events (sku)\n  LOOKUP plans KEY (plan) ON people (plan);\n"
    }

    /// The types by the world's seed, so that they take nothing from what is random about its values.
    fn written(&self) -> Written {
        let of = |choices: &[DataType], by: u64| {
            choices[usize::try_from(self.seed / by).unwrap() % choices.len()].clone()
        };
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        Written {
            whole: of(
                &[DataType::Int64, DataType::Int32, DataType::Int64, DataType::Int16, DataType::Int8],
                2,
            ),
            real: of(
                &[DataType::Float64, DataType::Float64, DataType::Float32, DataType::Decimal128(12, 2)],
                3,
            ),
            text: if self.dictionaries {
                dictionary
            } else {
                of(&[DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View], 5)
            },
        }
    }

    /// Whether zeros have a sign, by which they are sorted.
    pub(crate) fn has_signed_zeros(&self) -> bool {
        !matches!(self.written().real, DataType::Decimal128(..))
    }

    fn batch(&self, table: &Table, rows: &[&Vec<Value>]) -> RecordBatch {
        let fields = table.columns.iter().map(|(name, of)| Field::new(*name, of.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
        let mut text = vec![];
        for row in rows {
            let members =
                table.columns.iter().zip(*row).map(|((name, _), value)| ((*name).to_owned(), json_of(value)));
            serde_json::to_writer(&mut text, &Json::Object(members.collect::<Map<_, _>>())).unwrap();
            text.push(b'\n');
        }
        let mut reader =
            ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(1 << 20).build(&text[..]).unwrap();
        let batch = reader.next().map_or_else(|| RecordBatch::new_empty(schema), Result::unwrap);
        let written = self.written();
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            // A table of events need not have its key as the people have it.
            let to = match field.data_type() {
                _ if field.name() == "id" => field.data_type(),
                DataType::Int64 => &written.whole,
                DataType::Float64 => &written.real,
                DataType::Utf8 => &written.text,
                other => other,
            };
            (field.name().clone(), cast(column, to).unwrap(), true)
        });
        RecordBatch::try_from_iter_with_nullable(columns.collect::<Vec<_>>()).unwrap()
    }
}

fn people_columns(key: &DataType, time: &DataType) -> Vec<(&'static str, DataType)> {
    vec![
        ("id", key.clone()),
        ("country", DataType::Utf8),
        ("points", DataType::Int64),
        ("score", DataType::Float64),
        ("vip", DataType::Boolean),
        ("tags", list_of_text()),
        ("joined", time.clone()),
        ("plan", DataType::Utf8),
        ("address", struct_of(&[("city", DataType::Utf8), ("floor", DataType::Int64)])),
    ]
}

fn event_columns(key: &DataType, time: &DataType) -> Vec<(&'static str, DataType)> {
    vec![
        ("person", key.clone()),
        ("_id", DataType::Utf8),
        ("at", time.clone()),
        ("kind", DataType::Utf8),
        ("sku", DataType::Utf8),
        ("price", DataType::Float64),
        ("quantity", DataType::Int64),
        ("country", DataType::Utf8),
        ("tags", list_of_text()),
        ("device", struct_of(&[("os", DataType::Utf8), ("width", DataType::Int64)])),
    ]
}

fn lookups(random: &mut Random) -> Vec<Lookup> {
    // The last of the SKUs is in no product.
    let products = SKUS[..4].iter().map(|sku| {
        vec![
            Value::text(sku),
            pick(random, &["Acme", "Brisk"]),
            pick(random, &["shoes", "socks"]),
            real(random),
        ]
    });
    let columns = vec![
        ("sku", DataType::Utf8),
        ("brand", DataType::Utf8),
        ("category", DataType::Utf8),
        ("cost", DataType::Float64),
    ];
    let products = Table { name: "products", columns, rows: products.collect() };
    let plans = ["free", "basic", "gold"]
        .map(|plan| vec![Value::text(plan), pick(random, &["low", "high"]), whole(random, 9)]);
    let columns = vec![("plan", DataType::Utf8), ("tier", DataType::Utf8), ("fee", DataType::Int64)];
    let plans = Table { name: "plans", columns, rows: plans.into() };
    vec![Lookup { table: products, key: "sku" }, Lookup { table: plans, key: "plan" }]
}

fn list_of_text() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

fn struct_of(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, of)| Field::new(*name, of.clone(), true)).collect())
}

fn maybe(random: &mut Random, value: impl FnOnce(&mut Random) -> Value) -> Value {
    if random.chance(1, 7) { Value::Null } else { value(random) }
}

fn pick(random: &mut Random, choices: &[&str]) -> Value {
    maybe(random, |random| Value::text(random.of(choices)))
}

fn whole(random: &mut Random, end: usize) -> Value {
    maybe(random, |random| Value::Int(random.below(end) as i64 - 1))
}

/// A multiple of a quarter, so that sums are exact in any order, or one of the two zeros.
fn real(random: &mut Random) -> Value {
    maybe(random, |random| {
        Value::Float(match random.below(400) {
            0..5 => 0.0,
            5..10 => -0.0,
            drawn => drawn as f64 / 4.0 - 10.0,
        })
    })
}

fn tags(random: &mut Random) -> Value {
    maybe(random, |random| {
        let n = random.below(4);
        Value::List((0..n).map(|_| Value::text(random.of(TAGS))).collect())
    })
}

/// A time within some days before now, often on the edge of a window, sometimes after now.
fn instant(random: &mut Random, now: NaiveDateTime, days: usize) -> Value {
    if random.chance(1, 40) {
        return Value::Null;
    }
    let minutes = match random.below(20) {
        0 => 0,
        1..=3 => [7, 14, 30][random.below(3)] * 1440,
        4 => return Value::Time(now + TimeDelta::minutes(1 + random.below(9000) as i64)),
        5 => {
            return Value::Time(
                now - TimeDelta::days(7) - TimeDelta::milliseconds(random.below(3) as i64 - 1),
            );
        }
        _ => random.below(days * 1440),
    };
    Value::Time(now - TimeDelta::minutes(minutes as i64))
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Null | Value::Interval { .. } => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::Time(at) => json!(at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Row(fields) => {
            Json::Object(fields.iter().map(|(name, value)| ((*name).to_owned(), json_of(value))).collect())
        }
    }
}
