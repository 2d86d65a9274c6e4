//! Answers each request with a report of its own words.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let Some(address) = std::env::args().nth(1) else {
        println!("serve ADDRESS");
        return;
    };
    let listener = TcpListener::bind(address).expect("the address is taken");
    for stream in listener.incoming().flatten() {
        let mut stream = stream;
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).unwrap_or(0);
        let body = common::report("serve", &String::from_utf8_lossy(&buffer[..read]));
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
}
