//! Which addresses are never dialled: link-local ones and the metadata services of clouds, in every disguise.
//! Private addresses are fine: most receivers here are internal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services outside 169.254/16: Alibaba, Oracle Classic, Azure's platform address.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// Amazon's metadata service over IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether `ip` must never be dialled. To be asked about the address a name resolved to, at the moment it is dialled:
/// a name can resolve to something else the next time.
pub fn is_forbidden(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_forbidden_v4(v4),
        IpAddr::V6(v6) => is_forbidden_v6(v6),
    }
}

/// Whether a URL's host is this machine by its own name; such traffic leaves no machine and needs no TLS.
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost") || bare.to_ascii_lowercase().ends_with(".localhost"),
    }
}

fn is_forbidden_v4(ip: Ipv4Addr) -> bool {
    ip.is_link_local() || METADATA_V4.contains(&ip)
}

fn is_forbidden_v6(ip: Ipv6Addr) -> bool {
    ip.is_unicast_link_local() || ip == METADATA_V6 || embedded_v4(ip).into_iter().flatten().any(is_forbidden_v4)
}

/// The IPv4 addresses that an IPv6 address may be a disguise of.
fn embedded_v4(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let o = ip.octets();
    let at = |i: usize| Some(Ipv4Addr::new(o[i], o[i + 1], o[i + 2], o[i + 3]));
    let segments = ip.segments();
    match segments {
        // ::a.b.c.d (RFC 4291 section 2.5.5.1) and ::ffff:a.b.c.d (section 2.5.5.2)
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => [at(12), None],
        // ::ffff:0:a.b.c.d (RFC 2765)
        [0, 0, 0, 0, 0xffff, 0, ..] => [at(12), None],
        // 64:ff9b::/96, NAT64 (RFC 6052)
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [at(12), None],
        // 64:ff9b:1::/48, local NAT64 (RFC 8215): the prefix length is the site's choice, /96 or /48 in practice
        [0x64, 0xff9b, 1, ..] => [at(12), Some(Ipv4Addr::new(o[6], o[7], o[9], o[10]))],
        // 2002:a.b.c.d::/48, 6to4 (RFC 3056)
        [0x2002, ..] => [at(2), None],
        // 2001::/32, Teredo (RFC 4380): server, and the client's address inverted
        [0x2001, 0, ..] => [at(4), Some(Ipv4Addr::new(!o[12], !o[13], !o[14], !o[15]))],
        // Interface identifier of ISATAP (RFC 5214)
        [.., 0 | 0x200, 0x5efe, _, _] => [at(12), None],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_form() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::",
            "2001:0:1:1:0:0:5601:5601",
            "2001:db8::5efe:a9fe:a9fe",
        ] {
            assert!(is_forbidden(text.parse().expect(text)), "{text} should be refused");
        }
    }

    #[test]
    fn internal_and_public_addresses_are_allowed() {
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.253.1.1",
            "169.255.1.1",
            "8.8.8.8",
            "::1",
            "fd00:ec2::253",
            "fec0::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::808:808",
            "2002:a00:1::1",
        ] {
            assert!(!is_forbidden(text.parse().expect(text)), "{text} should be allowed");
        }
    }

    #[test]
    fn the_machine_itself_is_known_by_its_names() {
        for host in ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "app.LOCALHOST"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in ["10.0.0.1", "example.com", "localhost.example.com", "[fe80::1]"] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
