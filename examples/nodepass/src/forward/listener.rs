//! Opens listeners.

use crate::address::Address;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

const BACKLOG: i32 = 1024;

/// Listens there; a name stands for its first address, no host for every interface of both families.
///
/// # Errors
/// The name has no address, or the address cannot be had.
pub async fn listen(address: &Address) -> io::Result<TcpListener> {
    if address.host().is_empty() {
        let both = open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port())), false);
        return match both {
            // A machine without IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), true)
            }
            outcome => outcome,
        };
    }
    let first = address.resolve().await?.into_iter().next();
    open(first.ok_or(io::ErrorKind::NotFound)?, true)
}

fn open(address: SocketAddr, only_own_family: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_own_family)?;
    }
    // Elsewhere than on Unix this would let two programs share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}
