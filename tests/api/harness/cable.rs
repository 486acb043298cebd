//! A way to a server that can be cut: altogether, or in one direction, so that a process dies between what it did and
//! what it was to say or hear of it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Nowhere,
    /// What is sent to the server gets lost.
    ToServer,
    /// What the server answers gets lost.
    FromServer,
    /// Connections stay and carry nothing.
    Both,
    /// Connections end, and so does each new one.
    Off,
}

/// One end of it; the other is the server's port.
pub struct Cable(watch::Sender<Cut>);

impl Cable {
    /// Lays one to the server of this address, `scheme://…@127.0.0.1:PORT/…`; answers the address of its near end.
    pub async fn lay(url: &str) -> (Self, String) {
        let (before, after) = url.split_once("127.0.0.1:").unwrap();
        let (port, after) = after.split_once('/').unwrap();
        let server: u16 = port.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = format!("{before}{}/{after}", listener.local_addr().unwrap());
        let (cut, state) = watch::channel(Cut::Nowhere);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server, state.clone()));
            }
        });
        (Self(cut), near)
    }

    pub fn cut(&self, where_: Cut) {
        self.0.send_replace(where_);
    }
}

async fn connect(client: TcpStream, server: u16, state: watch::Receiver<Cut>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut off = state.clone();
    // The end of one direction is the end of all.
    tokio::select! {
        () = carry(from_client, to_server, &state, Cut::ToServer) => {}
        () = carry(from_server, to_client, &state, Cut::FromServer) => {}
        () = async { drop(off.wait_for(|cut| *cut == Cut::Off).await) } => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &watch::Receiver<Cut>, here: Cut) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(number @ 1..) = from.read(&mut bytes).await {
        let cut = *state.borrow();
        if cut != here && cut != Cut::Both && to.write_all(&bytes[..number]).await.is_err() {
            return;
        }
    }
}
