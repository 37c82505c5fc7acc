//! Links the program at a fixed address on Linux.
//!
//! At any other the loader has to write nearly 300,000 pointers before `main` begins, which is half of the time that a
//! short command takes. Libraries, heap and stack stay where the system puts them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    // Programs without libraries are linked with other parts of the C library.
    let is_static = target("FEATURE").split(',').any(|feature| feature == "crt-static");
    if target("OS") == "linux" && target("ENV") == "gnu" && !is_static {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
