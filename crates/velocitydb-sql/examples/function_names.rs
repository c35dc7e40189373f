//! Prints the names of all functions and operators, which `tests/it/resolution.sh` asks PostgreSQL
//! for: `cargo run -p velocitydb-sql --example function_names`.

#![allow(clippy::print_stdout)]

fn main() {
    let mut names: Vec<&str> = velocitydb_sql::functions::rows()
        .iter()
        .map(|row| row.name)
        .collect();
    names.dedup();
    for name in names {
        println!("{name}");
    }
}
