//! The demo's proxy on this machine: the `envoy.yaml` that ships, with free ports of 127.0.0.1 and
//! files of this machine in place of those of the containers.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// Where everything listens, on 127.0.0.1.
#[derive(Debug)]
pub struct Ports {
    /// Envoy, with the gate.
    pub envoy: u16,
    /// Envoy's admin interface.
    pub admin: u16,
    /// Envoy, for Prometheus.
    pub metrics: u16,
    /// Envoy, for the page.
    pub page: u16,
    /// The issuer, over TLS.
    pub issuer_tls: u16,
    /// The issuer, without.
    pub issuer: u16,
    /// The service behind the gate.
    pub backend: u16,
}

/// Which ports to prefer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    /// Those of the containers, which people know; others for those that are taken.
    TheUsual,
    /// Any: tests run beside a demo, and beside each other.
    Any,
}

impl Ports {
    /// Free ports.
    pub fn choose(prefer: Prefer) -> io::Result<Self> {
        // All are held until the last is chosen, so that no two are the same.
        let mut held = Vec::new();
        let mut choose = |usual: u16| -> io::Result<u16> {
            let wanted = if prefer == Prefer::TheUsual { usual } else { 0 };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
                .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            Ok(port)
        };
        Ok(Self {
            envoy: choose(10000)?,
            page: choose(10001)?,
            admin: choose(9901)?,
            metrics: choose(9902)?,
            issuer_tls: choose(8443)?,
            issuer: choose(9000)?,
            backend: choose(8080)?,
        })
    }
}

/// `shipped` with the addresses and files of this machine. An error when it does not hold each
/// expected text as often as it should: a demo of something else than what ships would prove nothing.
pub fn envoy_yaml(
    shipped: &str,
    ports: &Ports,
    module: &Path,
    ca: &Path,
) -> Result<String, String> {
    // A JSON string is a YAML string, whatever is in the path.
    let quoted = |path: &Path| match path.to_str() {
        Some(path) => Ok(serde_json::Value::from(path).to_string()),
        None => Err(format!("{} is not UTF-8", path.display())),
    };
    let address = |host: &str, port: u16| format!("address: {host}, port_value: {port} ");
    let here = |port: u16| address("127.0.0.1", port);
    // Envoy is a client of itself twice: for its admin interface, and from the page to the gate.
    let replacements = [
        (address("0.0.0.0", 10000), here(ports.envoy), 1),
        (address("127.0.0.1", 10000), here(ports.envoy), 1),
        (address("0.0.0.0", 10001), here(ports.page), 1),
        (address("0.0.0.0", 9902), here(ports.metrics), 1),
        (address("127.0.0.1", 9901), here(ports.admin), 2),
        (address("issuer", 8443), here(ports.issuer_tls), 1),
        (address("backend", 8080), here(ports.backend), 1),
        ("\"/etc/envoy/jwt_gate.wasm\"".to_owned(), quoted(module)?, 1),
        ("\"/etc/envoy/certs/ca.pem\"".to_owned(), quoted(ca)?, 1),
    ];
    for (from, _, times) in &replacements {
        let found = shipped.matches(from.as_str()).count();
        if found != *times {
            return Err(format!("envoy.yaml holds {from:?} {found} times, not {times}"));
        }
    }
    // Line by line, each by one replacement: what one has written is not for another, even where
    // the port that is free here is a usual one of something else.
    let line = |line: &str| {
        let fitting = replacements.iter().find(|(from, ..)| line.contains(from.as_str()));
        match fitting {
            Some((from, to, _)) => format!("{}\n", line.replacen(from.as_str(), to, 1)),
            None => format!("{line}\n"),
        }
    };
    let text: String = shipped.lines().map(line).collect();
    Ok(format!("# Made from envoy.yaml by `cargo xtask demo`: edit that one.\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../envoy.yaml");
    /// One of them the usual one of something else.
    const PORTS: Ports = Ports {
        envoy: 9901,
        admin: 2,
        metrics: 3,
        page: 10000,
        issuer_tls: 5,
        issuer: 6,
        backend: 7,
    };

    fn local(shipped: &str) -> Result<String, String> {
        let module = Path::new("/a \"folder\"/jwt_gate.wasm");
        envoy_yaml(shipped, &PORTS, module, Path::new("/demo/ca.pem"))
    }

    #[test]
    fn every_address_and_file_of_the_containers_is_replaced() {
        let text = local(SHIPPED).unwrap();
        for (port, times) in [(9901, 2), (2, 2), (3, 1), (10000, 1), (5, 1), (7, 1)] {
            let expected = format!("{{ address: 127.0.0.1, port_value: {port} }}");
            assert_eq!(text.matches(&expected).count(), times, "{expected}");
        }
        assert!(text.contains(r#"filename: "/a \"folder\"/jwt_gate.wasm""#));
        assert!(text.contains(r#"trusted_ca: { filename: "/demo/ca.pem" }"#));
        for gone in ["/etc/envoy", "address: issuer", "address: backend", "0.0.0.0"] {
            assert!(!text.contains(gone), "{gone}");
        }
        // The certificate has this name everywhere.
        assert!(text.contains("sni: issuer") && text.contains("exact: issuer"));
    }

    #[test]
    fn a_text_that_is_missing_or_doubled_is_an_error() {
        let missing = SHIPPED.replace("port_value: 8443", "port_value: 8444");
        assert!(local(&missing).unwrap_err().contains("0 times"));
        let doubled = format!("{SHIPPED}{SHIPPED}");
        assert!(local(&doubled).unwrap_err().contains("2 times"));
    }

    #[test]
    fn chosen_ports_differ_and_avoid_those_in_use() {
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 10000));
        let ports = Ports::choose(Prefer::TheUsual).unwrap();
        let Ports { envoy, admin, metrics, page, issuer_tls, issuer, backend } = ports;
        let mut all = [envoy, admin, metrics, page, issuer_tls, issuer, backend];
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0] != two[1]), "{all:?}");
        assert_ne!(envoy, 10000);
    }
}
