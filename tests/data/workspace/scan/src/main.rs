//! Lines of a file that speak of an error.

fn main() {
    let Some(path) = std::env::args().nth(1) else {
        println!("scan FILE");
        return;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let found: Vec<&str> = text.lines().filter(|line| line.to_lowercase().contains("error")).collect();
    print!("{}", common::report("scan", &found.join("\n")));
}
