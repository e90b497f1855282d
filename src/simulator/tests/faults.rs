//! Rules over HTTP.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::*;
use super::{get, start};

#[tokio::test]
async fn every_fault_does_what_it_says() {
    let simulator = start(30).await;
    let right = get(&simulator, "/runs?range=30d").await;
    let faulty = async |answer| {
        simulator.add_rule(Rule { times: Some(1), ..Rule::new(Endpoint::Runs, answer) });
        let begun = Instant::now();
        (get(&simulator, "/runs?range=30d").await, begun.elapsed())
    };
    let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
    let (received, _) =
        faulty(Answer::Status { status: 429, headers, body: "slow down".to_owned() }).await;
    assert_eq!((received.status, received.headers["retry-after"].as_str()), (429, "7"));
    assert_eq!(received.body, b"slow down");
    let bytes = vec![0xff, 0];
    let (received, _) =
        faulty(Answer::Body { status: 200, headers: vec![], bytes: bytes.clone() }).await;
    assert_eq!((received.status, received.body), (200, bytes));
    let (received, _) = faulty(Answer::Truncate { bytes: 100 }).await;
    assert_eq!((received.length(), &received.body[..]), (100, &right.body[..100]));
    let (received, _) = faulty(Answer::Reset { after_bytes: 100 }).await;
    assert_eq!((received.length(), &received.body[..]), (right.length(), &right.body[..100]));
    let (received, took) = faulty(Answer::Stall { seconds: 0.3 }).await;
    assert!(took >= Duration::from_millis(300) && received.body == right.body);
    let (received, took) = faulty(Answer::StallBody { after_bytes: 5, seconds: 0.3 }).await;
    assert!(took >= Duration::from_millis(300) && received.body == right.body);
    let speed = u32::try_from(right.body.len() * 2).unwrap();
    let (received, took) = faulty(Answer::Drip { bytes_per_second: speed }).await;
    assert!(took >= Duration::from_millis(400) && received.body == right.body);
    let location = "http://localhost/elsewhere".to_owned();
    let (received, _) = faulty(Answer::Redirect { status: 308, location: location.clone() }).await;
    assert_eq!((received.status, &received.headers["location"]), (308, &location));
    assert_eq!(get(&simulator, "/runs?range=30d").await.body, right.body);
}

#[tokio::test]
async fn stopping_ends_stalls() {
    let simulator = start(1).await;
    simulator.add_rule(Rule::new(Endpoint::Any, Answer::Stall { seconds: 600.0 }));
    let port = simulator.port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    while simulator.request_count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    simulator.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
