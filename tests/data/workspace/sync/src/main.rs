//! Lists what lies below a folder, by several threads.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::{fs, thread};

fn below(place: &Path, found: &mut Vec<PathBuf>) {
    for row in fs::read_dir(place).into_iter().flatten().flatten() {
        let path = row.path();
        if path.is_dir() { below(&path, found) } else { found.push(path) }
    }
}

fn main() {
    let Some(from) = std::env::args().nth(1) else {
        println!("sync FOLDER");
        return;
    };
    let mut files = Vec::new();
    below(Path::new(&from), &mut files);
    let (send, receive) = mpsc::channel();
    for part in files.chunks(64).map(<[PathBuf]>::to_vec) {
        let send = send.clone();
        thread::spawn(move || {
            for file in part {
                let size = fs::metadata(&file).map(|found| found.len()).unwrap_or(0);
                let _ = send.send(format!("{} {size}", file.display()));
            }
        });
    }
    drop(send);
    print!("{}", common::report("sync", &receive.iter().collect::<Vec<_>>().join("\n")));
}
