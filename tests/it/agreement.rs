//! Random rules over random worlds: whatever road evaluates them finds the members that the interpreter finds.

use std::collections::BTreeMap;
use std::path::Path;

use coterie::engine::{Engine, Options, Session};
use coterie::segment::Language;

use crate::common::{first_column, render, run};
use crate::random_rules::shrink::shrink;
use crate::random_rules::{Case, generator::SIMPLEST};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The tables of a case, by one to three threads; every third world has its events laid out, and every second one is read in
/// small batches.
async fn open(case: &Case, folder: &Path) -> Session {
    let seed = case.world.seed;
    let is_laid_out = seed.is_multiple_of(3);
    let options = Options {
        now: Some(case.now()),
        threads: Some(1 + usize::try_from(seed % 3).unwrap()),
        warehouse: is_laid_out.then(|| folder.join("warehouse").display().to_string()),
        ..Options::default()
    };
    let session = Engine::open(options).await.unwrap().session();
    let mut sql = case.declare(folder);
    if is_laid_out {
        sql += &format!("OPTIMIZE EVENTS OF world INTO {} BUCKETS;\n", 1 + seed % 5);
    }
    if seed.is_multiple_of(2) {
        sql += &format!("SET datafusion.execution.batch_size = {};\n", 1 + seed % 50);
    }
    if let Err(error) = run(&session, &sql).await {
        panic!("{}", render(&error, &sql));
    }
    session
}

/// The keys that a query returns, or the first line of its error.
async fn keys(session: &Session, sql: &str) -> Result<Vec<String>, String> {
    match run(session, sql).await {
        Ok(batches) => Ok(first_column(&batches)),
        Err(error) => Err(render(&error, sql).lines().next().unwrap_or_default().to_owned()),
    }
}

async fn matching(session: &Session, rule: &str) -> Result<Vec<String>, String> {
    keys(session, &format!("SELECT * FROM matching('world', $rule${rule}$rule$)")).await
}

/// The smallest rule found that fails as a rule of a case does.
async fn smaller(session: &Session, case: &Case, at: usize, failed: &Result<Vec<String>, String>) -> String {
    let (_, rule) = &case.rules[at];
    shrink(rule, SIMPLEST, 400, |text| {
        let failed = failed.clone();
        async move {
            match (matching(session, &text).await, failed) {
                (Err(error), Err(other)) => error == other,
                (Ok(found), Ok(_)) => found != case.try_rule(&text),
                _ => false,
            }
        }
    })
    .await
}

/// Checks the rules of a case by every road; returns what differs.
async fn check(case: &Case, seed: u64) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let session = open(case, folder.path()).await;
    let everybody = keys(&session, "SELECT id FROM people WHERE id IS NOT NULL").await.unwrap();
    let mut wrong = vec![];
    for (at, (name, _)) in case.rules.iter().enumerate() {
        let found = keys(&session, &format!("SELECT * FROM segment.{name}")).await;
        let expected = case.members(name, None);
        if found.as_ref() != Ok(&expected) {
            let least = smaller(&session, case, at, &found).await;
            wrong.push(format!(
                "live, world {seed}, {name}: {}\n  found    {found:?}\n  expected {expected:?}\n  smallest {seed} {least}",
                case.rule(name)
            ));
        }
        // Somebody's membership, without asking who else is a member.
        let some: Vec<String> = everybody.iter().skip(at).step_by(5).cloned().collect();
        let literals: Vec<String> = some.iter().map(|id| format!("'{}'", id.replace('\'', "''"))).collect();
        let asked = format!("SELECT * FROM segment.{name} WHERE id IN ({})", literals.join(", "));
        let expected: Vec<String> = expected.into_iter().filter(|id| some.contains(id)).collect();
        let found = keys(&session, &asked).await;
        if !some.is_empty() && found.as_ref() != Ok(&expected) {
            wrong.push(format!(
                "{asked}, world {seed}: {}\n  found    {found:?}\n  expected {expected:?}",
                case.rule(name)
            ));
        }
    }
    let earlier = case.now() - chrono::TimeDelta::days(9);
    for as_of in [Some(earlier), None] {
        let clause = as_of.map(|as_of| format!(" AS OF TIMESTAMP '{}'", as_of.format("%Y-%m-%d %H:%M:%S")));
        let clause = clause.unwrap_or_default();
        // All in one pass, but those with windows one by one: see the generator.
        let (windows, others): (Vec<_>, Vec<_>) =
            case.rules.iter().map(|(name, _)| name.as_str()).partition(|name| case.has_window(name));
        let mut runs = vec![others];
        runs.extend(windows.into_iter().map(|name| vec![name]));
        let mut evaluate = String::new();
        for names in runs.iter().filter(|names| !names.is_empty()) {
            evaluate = format!("EVALUATE SEGMENT {}{clause}", names.join(", "));
            if let Err(error) = run(&session, &evaluate).await {
                wrong.push(format!("world {seed}: {}", render(&error, &evaluate)));
            }
        }
        for (name, _) in &case.rules {
            let stored = format!("SELECT id FROM audience.{name} WHERE status = 'realized'");
            let (found, expected) = (keys(&session, &stored).await, case.members(name, as_of));
            if found.as_ref() != Ok(&expected) {
                wrong.push(format!(
                    "{evaluate}, world {seed}, {name}: {}\n  found    {found:?}\n  expected {expected:?}",
                    case.rule(name)
                ));
            }
        }
    }
    wrong
}

/// `RULES_SEED` is the first world, `RULES_WORLDS` how many; `RULES_SHOW` shows the rules first.
#[tokio::test]
async fn random_rules_agree() {
    let (first, n_worlds) = (number("RULES_SEED", 1), number("RULES_WORLDS", 8));
    let mut wrong = vec![];
    for seed in first..first + n_worlds {
        let case = Case::random(seed, 12);
        if std::env::var_os("RULES_SHOW").is_some() {
            case.rules.iter().for_each(|(name, _)| eprintln!("world {seed}, {name}: {}", case.rule(name)));
        }
        wrong.extend(check(&case, seed).await);
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// Rules that failed once: a line a rule, its world's seed first.
#[tokio::test]
async fn rules_that_failed_once_agree() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/corpus.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut worlds: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (seed, rule) = line.split_once(' ').unwrap();
        worlds.entry(seed.parse().unwrap()).or_default().push(rule);
    }
    let mut wrong = vec![];
    for (seed, rules) in worlds {
        wrong.extend(check(&Case::of(seed, &rules), seed).await);
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// The SQL that is shown is the SQL that runs.
#[tokio::test]
async fn what_is_shown_runs() {
    let case = Case::random(3, 6);
    let folder = tempfile::tempdir().unwrap();
    let session = open(&case, folder.path()).await;
    for (name, _) in &case.rules {
        let source = coterie::diagnostic::Source::typed(case.rule(name));
        let stages = session.translate(&source, Language::Sql, None).await.unwrap();
        assert_eq!(
            keys(&session, &stages.sql).await,
            keys(&session, &format!("SELECT * FROM segment.{name}")).await
        );
    }
}

/// What PQL can say of a rule in SQL has the same members.
#[tokio::test]
async fn what_pql_says_agrees() {
    let (first, n_worlds) = (number("RULES_SEED", 1), number("RULES_WORLDS", 8));
    let (mut wrong, mut n_said) = (vec![], 0);
    for seed in first..first + n_worlds {
        let case = Case::random(seed, 12);
        let folder = tempfile::tempdir().unwrap();
        let session = open(&case, folder.path()).await;
        for (name, _) in &case.rules {
            let source = coterie::diagnostic::Source::typed(case.rule(name));
            let Ok(said) = session.translate_to_pql(&source, Language::Sql, None).await else { continue };
            n_said += 1;
            let found =
                keys(&session, &format!("SELECT * FROM matching('world', $rule${said}$rule$, 'pql')")).await;
            let expected = case.members(name, None);
            if found.as_ref() != Ok(&expected) {
                wrong.push(format!(
                    "world {seed}, {name}: {}\n  said     {said}\n  found    {found:?}\n  expected {expected:?}",
                    case.rule(name)
                ));
            }
        }
    }
    assert!(n_said > n_worlds, "only {n_said} rules could be said");
    assert!(wrong.is_empty(), "{} of {n_said} differ\n{}", wrong.len(), wrong.join("\n"));
}
