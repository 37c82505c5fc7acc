//! Links the program at a fixed address on Linux.
//!
//! At any other the loader has to write nearly 300,000 pointers before `main` begins, which is half of the time that a
//! short command takes. Libraries, heap and stack stay where the system puts them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
