//! The header that tells a target who its client is: PROXY protocol, version 2
//! (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>).

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const VERSION_2_PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header for a connection from `client` to `own`. `None`: not over TCP, so there are no addresses to tell.
pub(crate) fn header(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = Vec::with_capacity(52);
    header.extend(SIGNATURE);
    header.push(VERSION_2_PROXY);
    let canonical = addresses.map(|(client, own)| {
        let ips = (client.ip().to_canonical(), own.ip().to_canonical());
        (ips, client.port(), own.port())
    });
    match canonical {
        Some(((IpAddr::V4(client), IpAddr::V4(own)), client_port, own_port)) => {
            header.push(TCP_OVER_IPV4);
            header.extend(12_u16.to_be_bytes());
            header.extend(client.octets());
            header.extend(own.octets());
            header.extend(client_port.to_be_bytes());
            header.extend(own_port.to_be_bytes());
        }
        Some(((IpAddr::V6(client), IpAddr::V6(own)), client_port, own_port)) => {
            header.push(TCP_OVER_IPV6);
            header.extend(36_u16.to_be_bytes());
            header.extend(client.octets());
            header.extend(own.octets());
            header.extend(client_port.to_be_bytes());
            header.extend(own_port.to_be_bytes());
        }
        _ => {
            header.push(UNSPECIFIED);
            header.extend(0_u16.to_be_bytes());
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_clients_address_first() {
        let addresses = (
            "1.2.3.4:258".parse().unwrap(),
            "5.6.7.8:772".parse().unwrap(),
        );
        let bytes = header(Some(addresses));
        assert_eq!(bytes[..12], SIGNATURE);
        assert_eq!(bytes[12..16], [0x21, 0x11, 0, 12]);
        assert_eq!(bytes[16..], [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]);
    }

    #[test]
    fn without_addresses_it_says_so() {
        assert_eq!(header(None)[12..], [0x21, 0, 0, 0]);
        let six = "[::1]:1".parse().unwrap();
        assert_eq!(header(Some((six, six))).len(), 52);
    }
}
