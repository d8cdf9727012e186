//! BuildKit at an address of its own: the one inside a private Docker Engine, whose `/grpc` is what a buildkitd serves.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{Dockerd, EngineError, Version, io_error};

/// A BuildKit of one test, behind TCP and a Unix socket: connections are spliced to the engine's.
pub struct BuildKitd {
    dockerd: Dockerd,
    address: SocketAddr,
    socket: PathBuf,
    ended: Arc<AtomicBool>,
}

/// What it answers to a request to change protocol, up to here.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

impl BuildKitd {
    /// Starts Docker Engine 26.1 with containerd's image store, and listens.
    pub fn start() -> Result<Self, EngineError> {
        Self::of(Dockerd::start(Version::V26Containerd)?)
    }

    /// The same with a bridge that is there.
    pub fn start_on_bridge(bridge: &str) -> Result<Self, EngineError> {
        Self::of(Dockerd::start_on_bridge(Version::V26Containerd, bridge)?)
    }

    /// The same in a network of its own: this machine's loopback interface is out of its reach, as it is for a buildkitd on
    /// another host.
    pub fn start_apart() -> Result<Self, EngineError> {
        Self::of(Dockerd::start_apart(Version::V26Containerd)?)
    }

    fn of(dockerd: Dockerd) -> Result<Self, EngineError> {
        let engine = dockerd.socket();
        let socket = engine.with_file_name("buildkitd.sock");
        let ended = Arc::new(AtomicBool::new(false));
        let tcp = TcpListener::bind("127.0.0.1:0").map_err(io_error(Path::new("127.0.0.1:0")))?;
        let address = tcp
            .local_addr()
            .map_err(io_error(Path::new("127.0.0.1:0")))?;
        let unix = UnixListener::bind(&socket).map_err(io_error(&socket))?;
        let accept_tcp = move || {
            let (stream, _) = tcp.accept()?;
            // As every server that is written in Go.
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let accept_unix = move || unix.accept().map(|(stream, _)| stream);
        serve(accept_tcp, engine.clone(), Arc::clone(&ended));
        serve(accept_unix, engine, Arc::clone(&ended));
        Ok(Self {
            dockerd,
            address,
            socket,
            ended,
        })
    }

    /// The address as `BUILDKIT_HOST` has it.
    pub fn host(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// The Unix socket as `BUILDKIT_HOST` has it.
    pub fn socket_host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The engine that it is part of.
    pub fn dockerd(&self) -> &Dockerd {
        &self.dockerd
    }
}

impl Drop for BuildKitd {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the two that wait for connections.
        let _ = TcpStream::connect(self.address);
        let _ = UnixStream::connect(&self.socket);
    }
}

/// A connection whose directions can be copied on two threads.
trait Half: Read + Write + Send + Sized + 'static {
    fn again(&self) -> io::Result<Self>;
    fn end(&self);
}

impl Half for TcpStream {
    fn again(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Half for UnixStream {
    fn again(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

fn serve<S: Half>(
    accept: impl Fn() -> io::Result<S> + Send + 'static,
    engine: PathBuf,
    ended: Arc<AtomicBool>,
) {
    thread::spawn(move || {
        while let Ok(client) = accept() {
            if ended.load(Ordering::SeqCst) {
                return;
            }
            let engine = engine.clone();
            thread::spawn(move || {
                if let Ok(engine) = hijack(&engine) {
                    let _ = splice(client, engine);
                }
            });
        }
    });
}

/// A connection to the engine that speaks to its BuildKit from here on.
fn hijack(engine: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(engine)?;
    stream.write_all(
        b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    )?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head is not ours to read.
    while !head.ends_with(END_OF_HEAD) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if head.starts_with(b"HTTP/1.1 101 ") {
        Ok(stream)
    } else {
        Err(io::Error::other("the engine does not change protocol"))
    }
}

fn splice<S: Half>(client: S, engine: UnixStream) -> io::Result<()> {
    let (mut from_client, mut to_engine) = (client.again()?, engine.again()?);
    let there = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_engine);
        // Whoever hangs up ends both directions.
        to_engine.end();
    });
    let (mut from_engine, mut to_client) = (engine, client);
    let _ = io::copy(&mut from_engine, &mut to_client);
    to_client.end();
    let _ = there.join();
    Ok(())
}
