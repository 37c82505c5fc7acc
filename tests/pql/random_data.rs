//! Random data of the fixture's schema: its rows, shuffled among the profiles, with values exchanged and taken out.

use serde_json::{Map, Value};

use crate::cases::path;
use crate::random::Random;

/// Profiles and events, a JSON object a row.
pub(crate) struct Data {
    pub(crate) profiles: Vec<Value>,
    pub(crate) events: Vec<Value>,
}

fn rows(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path(&format!("fixture/{name}.ndjson"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Data {
    /// The fixture as it is.
    pub(crate) fn fixture() -> Self {
        Self { profiles: rows("profiles"), events: rows("events") }
    }

    pub(crate) fn random(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xDA7A);
        let mut data = Self::fixture();
        let (profiles, events) = (data.profiles.clone(), data.events.clone());
        for row in &mut data.profiles {
            mix(row, &profiles, &mut random, &["profile_id"]);
        }
        for row in &mut data.events {
            mix(row, &events, &mut random, &["profile_id", "_id", "timestamp"]);
            let of = |random: &mut Random| &profiles[random.below(profiles.len())];
            row["profile_id"] = of(&mut random)["profile_id"].clone();
            row["timestamp"] = events[random.below(events.len())]["timestamp"].clone();
        }
        data.events.retain(|_| random.below(4) > 0);
        data
    }
}

/// Exchanges parts of a row with the same parts of other rows, and takes some out.
fn mix(row: &mut Value, others: &[Value], random: &mut Random, keys: &[&str]) {
    let Value::Object(fields) = row else { return };
    let names: Vec<String> =
        others.iter().filter_map(Value::as_object).flat_map(Map::keys).cloned().collect();
    for name in names.iter().filter(|name| !keys.contains(&name.as_str())) {
        match random.below(names.len()) {
            0..3 => {
                fields.remove(name);
            }
            3..12 => {
                let other = &others[random.below(others.len())];
                if let Some(value) = other.get(name) {
                    fields.insert(name.clone(), value.clone());
                }
            }
            _ => {}
        }
    }
}
