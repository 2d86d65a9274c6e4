//! Adds up the numbers of each column.

use std::collections::BTreeMap;

fn main() {
    let Some(path) = std::env::args().nth(1) else {
        println!("stat FILE");
        return;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for line in text.lines() {
        for (column, value) in line.split(',').enumerate() {
            *sums.entry(column).or_default() += value.trim().parse::<f64>().unwrap_or(0.0);
        }
    }
    print!("{}", common::report("stat", &format!("{sums:?}")));
}
