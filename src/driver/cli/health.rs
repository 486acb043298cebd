//! `flow-manager health`: asks the service or the worker on this machine whether it is ready, for container health
//! checks. An image then needs no HTTP client, and the check follows the settings.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{MISUSED, complain};
use crate::config::Config;

/// For each of connecting, sending and receiving: a health check has three seconds as a rule.
const TIMEOUT: Duration = Duration::from_secs(1);
/// More than any answer of `/readyz`.
const LONGEST: u64 = 16 * 1024;

#[derive(Args, Debug)]
pub struct Health {
    /// Ask the `work` that runs here, at metrics.address
    #[arg(long)]
    work: bool,
}

/// Container engines know of 0 and 1 alone, so that nobody who answers is no other failure here.
pub fn run(config: &Config, asked: &Health) -> ExitCode {
    let address = match (asked.work, config.metrics.address) {
        (false, _) => SocketAddr::new(config.server.address, config.server.port),
        (true, Some(address)) => address,
        (true, None) => {
            complain(&"metrics.address is not set: a worker listens on nothing without it");
            return ExitCode::from(MISUSED);
        }
    };
    let address = nearest(address);
    match ask(address) {
        Ok(200) => ExitCode::SUCCESS,
        Ok(status) => failed(&format!("http://{address}/readyz answers {status}: not ready")),
        Err(error) => failed(&format!("http://{address}/readyz does not answer ({error})")),
    }
}

fn failed(sentence: &str) -> ExitCode {
    complain(&sentence);
    ExitCode::FAILURE
}

/// Where the service can be reached from its own machine.
fn nearest(listens: SocketAddr) -> SocketAddr {
    let address = match listens.ip() {
        IpAddr::V4(every) if every.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(every) if every.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        one => one,
    };
    SocketAddr::new(address, listens.port())
}

/// The status of the answer to `GET /readyz`.
fn ask(address: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(
        format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    status(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is not HTTP"))
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// The address of a server that answers one request with `answer`.
    fn server(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (address, thread)
    }

    #[test]
    fn the_status_of_the_answer_decides() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some(200)),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(503)),
            ("SSH-2.0-OpenSSH_9.2\r\n", None),
            ("", None),
        ] {
            let (address, thread) = server(answer);
            assert_eq!(ask(address).ok(), expected, "{answer}");
            assert!(thread.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));
        }
    }

    #[test]
    fn a_service_on_every_interface_is_asked_on_the_nearest() {
        for (listens, asked) in [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.1.2.3", "10.1.2.3")] {
            let address = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 9);
            assert_eq!(nearest(address(listens)), address(asked));
        }
    }
}
