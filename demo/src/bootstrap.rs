//! Parts of an Envoy bootstrap for tests.

use std::path::Path;

use serde_json::{Value, json};

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";

/// The filter in `module` with this plugin configuration.
pub fn wasm_filter(module: &Path, configuration: &Value) -> Value {
    json!({
        "name": "envoy.filters.http.wasm",
        "typed_config": {
            "@type": format!("{FILTERS}.http.wasm.v3.Wasm"),
            "config": {
                "name": "jwt-gate",
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": "jwt-gate",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": module } },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
            },
        },
    })
}

/// A listener on a free port that sends everything through `filters` to the cluster `backend`,
/// and writes one line a request: `access: ROW STATUS DETAILS`, where ROW is the header `x-row`.
pub fn listener(name: &str, filters: &[Value]) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": format!("{FILTERS}.http.router.v3.Router") },
    });
    let filters: Vec<&Value> = filters.iter().chain([&router]).collect();
    json!({
        "name": name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "ingress",
                "upgrade_configs": [{ "upgrade_type": "CONNECT" }],
                "access_log": [{
                    "name": "envoy.access_loggers.stdout",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                        "log_format": { "text_format_source": {
                            "inline_string": "access: %REQ(X-ROW)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n" } },
                    },
                }],
                "route_config": { "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "backend" } }],
                }] },
                "http_filters": filters,
            },
        }] }],
    })
}

/// A cluster of one address; with `ca`, over TLS for the name `issuer.test`.
pub fn cluster(name: &str, host: &str, port: u16, ca: Option<&str>) -> Value {
    let mut cluster = json!({
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_ONLY",
        "connect_timeout": "5s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{
            "endpoint": { "address": { "socket_address": {
                "address": host, "port_value": port } } },
        }] }] },
    });
    if let Some(ca) = ca {
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": "issuer.test",
                "common_tls_context": { "validation_context": {
                    "trusted_ca": { "inline_string": ca },
                    "match_typed_subject_alt_names": [
                        { "san_type": "DNS", "matcher": { "exact": "issuer.test" } },
                    ],
                } },
            },
        });
    }
    cluster
}
