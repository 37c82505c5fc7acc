//! `coterie serve` and `coterie user` as people run them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

fn coterie(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coterie"));
    let variables =
        ["WAREHOUSE", "CONFIG", "FLIGHT", "POSTGRES", "HTTP", "USERS", "TLS_CERT", "TLS_KEY", "MAX_SQL"];
    for variable in variables {
        command.env_remove(format!("COTERIE_{variable}"));
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn with_password(arguments: &[&str], password: &str) -> (i32, String, String) {
    let mut command = coterie(arguments);
    command.arg("--password-stdin").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A wrong name ends the command before it reads.
    let _ = child.stdin.take().unwrap().write_all(password.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serve.toml");
    std::fs::write(
        &file,
        "flight = '127.0.0.1:1'\nhttp = '127.0.0.1:1'\nmax_sql = '1MB'\nquery_timeout = '5m'\n",
    )
    .unwrap();
    let mut command =
        coterie(&["serve", "--print-config", "--http", "127.0.0.1:3", "--config", file.to_str().unwrap()]);
    let (status, out, err) =
        run(command.env("COTERIE_FLIGHT", "127.0.0.1:2").env("COTERIE_HTTP", "127.0.0.1:2"));
    assert_eq!((status, err.as_str()), (0, ""));
    for line in [
        "flight = \"127.0.0.1:2\"",
        "http = \"127.0.0.1:3\"",
        "max_sql = \"1MB\"",
        "query_timeout = \"5m\"",
        "max_connections = 2000",
    ] {
        assert!(out.lines().any(|found| found == line), "{line} is not in\n{out}");
    }
    std::fs::write(&file, "flihgt = '127.0.0.1:1'").unwrap();
    let (status, _, err) =
        run(&mut coterie(&["serve", "--print-config", "--config", file.to_str().unwrap()]));
    assert_eq!(status, 2);
    assert!(err.contains("error[usage]") && err.contains("flihgt"), "{err}");
}

#[test]
fn strangers_are_not_let_in_by_mistake() {
    let (status, _, err) = run(&mut coterie(&["serve", "--flight", "0.0.0.0:0"]));
    assert_eq!(status, 2);
    assert!(err.contains("is not a loopback address") && err.contains("--insecure"), "{err}");
}

#[test]
fn users_are_managed_and_passwords_are_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.toml");
    let users = file.to_str().unwrap();
    let add = ["user", "add", "ana", "--role", "reader", "--grant", "segment:buyers", "--users", users];
    let (status, _, err) = with_password(&add, "correct horse\n");
    assert_eq!((status, err.as_str()), (0, "added ana\n"));
    assert_eq!(with_password(&add, "correct horse\n").0, 2);
    let (status, out, _) = run(&mut coterie(&["user", "list", "--users", users, "--format", "csv"]));
    assert_eq!((status, out.as_str()), (0, "user,role,grants\nana,reader,segment:buyers\n"));
    assert_eq!(with_password(&["user", "passwd", "ana", "--users", users], "another horse\n").0, 0);
    assert_eq!(with_password(&["user", "passwd", "ana", "--users", users], "short\n").0, 2);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("$argon2id$") && text.contains("SCRAM-SHA-256$") && !text.contains("horse"),
        "{text}"
    );
    assert_eq!(run(&mut coterie(&["user", "remove", "bo", "--users", users])).0, 2);
    assert_eq!(run(&mut coterie(&["user", "remove", "ana", "--users", users])).0, 0);
    assert_eq!(
        run(coterie(&["user", "add", "bo", "--role", "king", "--users", users]).arg("--password-stdin")).0,
        2
    );
}

#[cfg(unix)]
#[test]
fn it_serves_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = Path::new(folder.path()).join("warehouse");
    let mut child = coterie(&[
        "serve",
        "--flight",
        "127.0.0.1:0",
        "--log-format",
        "json",
        "--warehouse",
        warehouse.to_str().unwrap(),
    ])
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.next().unwrap();
    let address = line.strip_prefix("Flight SQL on ").unwrap_or_else(|| panic!("{line}"));
    std::net::TcpStream::connect(address).unwrap();
    // A new certificate: there is none, and nothing happens.
    let signal = |name: &str| Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(signal("-HUP").success());
    assert!(lines.next().unwrap().contains("certificates were read anew"));
    assert!(signal("-TERM").success());
    assert_eq!(lines.last().unwrap(), "shutting down");
    assert!(child.wait().unwrap().success());
}
