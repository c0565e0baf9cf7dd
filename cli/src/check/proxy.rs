//! What stands around a configuration: clusters, TLS, what becomes of requests should the module fail.

use std::collections::BTreeSet;

use jwt_gate::config::path::PathSpecifier;
use jwt_gate::config::{Config, Jwks, RemoteSource};

use crate::check::Finding;
use crate::manifest::{Carrier, Found, Loaded, has_rules_of_higress};
use crate::tree::{Place, Tree};

/// All warnings about what is around.
pub fn list(config: &Config, found: &Found, loaded: &Loaded) -> Vec<Finding> {
    let mut list = Vec::new();
    match &found.carrier {
        Carrier::Bare => {}
        Carrier::Envoy(plugin) => {
            let failure =
                plugin.get("failure_policy").filter(|own| own.text() == Some("FAIL_OPEN"));
            let failure = failure.or_else(|| plugin.get("fail_open").filter(|own| own.is_true()));
            if let Some(tree) = failure {
                list.push(fails_open(tree.place));
            }
            about_clusters(config, loaded, &mut list);
            about_paths(config, loaded, &mut list);
        }
        Carrier::ExtensionPolicy(extension) => {
            if let Some(own) = extension.get("fail_open").filter(|own| own.is_true()) {
                list.push(fails_open(own.place));
            }
            let code = extension.get("code");
            let source = code.and_then(|code| code.get("image").or_else(|| code.get("http")));
            about_module(source, extension.place, &mut list);
            about_clusters(config, loaded, &mut list);
        }
        Carrier::WasmPlugin(spec) => {
            about_module(Some(spec), spec.place, &mut list);
            match spec.get("fail_strategy") {
                Some(own) if own.text() == Some("FAIL_OPEN") => list.push(fails_open(own.place)),
                _ => {}
            }
            if spec.get("phase").is_none() {
                list.push(finding(
                    spec.place,
                    "no_phase",
                    "without `phase: AUTHN`, the gate stands behind Istio's own authorization",
                ));
            }
            about_istio(config, loaded, spec.place, &mut list);
        }
    }
    list
}

/// What makes the whole useless, however good the configuration is.
pub fn mistakes(found: &Found) -> Vec<Finding> {
    let Carrier::WasmPlugin(spec) = &found.carrier else { return Vec::new() };
    let mut list = Vec::new();
    if let Some(own) = spec.get("match_rules").filter(|_| has_rules_of_higress(spec)) {
        let message = "Higress hands `matchRules` over as a member `_rules_` of the configuration, which the gate \
                       refuses with all the rest: say it in `rules`, which know hosts and paths";
        list.push(finding(own.place, "", message));
    }
    if let Some(own) = spec.get("default_config_disable").filter(|own| own.is_true()) {
        let message = "with `defaultConfigDisable`, Higress hands over no configuration at all";
        list.push(finding(own.place, "", message));
    }
    list
}

/// Whoever can change what a name stands for changes who gets in.
fn about_module(source: Option<&Tree>, place: Place, list: &mut Vec<Finding>) {
    let url = source.and_then(|own| own.text_at("url"));
    let is_local = url.is_some_and(|url| url.starts_with("file:"));
    let is_pinned = url.is_some_and(|url| url.contains("@sha256:"))
        || source.is_some_and(|own| own.text_at("sha256").is_some());
    if !is_local && !is_pinned {
        let message = "the module is fetched by a name that can come to mean another one; `sha256` says which \
                       one is meant";
        list.push(finding(place, "module_not_pinned", message));
    }
}

fn finding(place: Place, code: &'static str, message: impl Into<String>) -> Finding {
    Finding { place, path: String::new(), code, message: message.into() }
}

fn fails_open(place: Place) -> Finding {
    finding(
        place,
        "fail_open",
        "should the module fail to load or crash, every request passes unchecked; FAIL_RELOAD (Envoy) or \
         FAIL_CLOSE (Istio) refuses them",
    )
}

/// The clusters by which keys and lists are fetched, and whether by TLS.
fn clusters(config: &Config) -> BTreeSet<(String, bool)> {
    let mut clusters = BTreeSet::new();
    let revocations = config.providers.values().map(|own| &own.revocation);
    for list in
        revocations.chain([&config.revocation]).flatten().filter_map(|own| own.list.as_ref())
    {
        clusters.insert((list.cluster.clone(), list.uri.starts_with("https://")));
    }
    for lists in config.providers.values().filter_map(|own| own.status_list.as_ref()) {
        clusters.extend(lists.clusters.values().map(|own| (own.clone(), true)));
    }
    for provider in config.providers.values() {
        let Some(Jwks::Remote { remote, .. }) = &provider.jwks else { continue };
        match &remote.source {
            Some(RemoteSource::Uri { uri, cluster }) => {
                clusters.insert((cluster.clone(), uri.starts_with("https://")));
            }
            Some(RemoteSource::Discovery { cluster, clusters: by_host, .. }) => {
                let issuers = std::iter::once(&provider.issuer).chain(&provider.issuers);
                let is_secure = issuers.into_iter().any(|issuer| issuer.starts_with("https://"));
                let all = cluster.iter().chain(by_host.values());
                clusters.extend(all.map(|own| (own.clone(), is_secure)));
            }
            None => {}
        }
    }
    clusters
}

fn about_clusters(config: &Config, loaded: &Loaded, list: &mut Vec<Finding>) {
    let mut known = Vec::new();
    let (mut is_whole, mut are_elsewhere, mut place) = (false, false, Place::START);
    for document in &loaded.documents {
        if let Some(own) = document.at(&["static_resources", "clusters"]) {
            (is_whole, place) = (true, own.place);
            known.extend(own.items());
        }
        are_elsewhere |= document.at(&["dynamic_resources", "cds_config"]).is_some();
        match document.text_at("kind") {
            Some("EnvoyPatchPolicy") => are_elsewhere = true,
            // What Envoy Gateway adds to its Envoys' own clusters.
            Some("EnvoyProxy") => {
                let bootstrap = document.at(&["spec", "bootstrap"]);
                are_elsewhere |= bootstrap.is_some_and(|own| own.get("value").is_some());
                let Some(patches) = bootstrap.and_then(|own| own.get("json_patches")) else {
                    continue;
                };
                (is_whole, place) = (true, patches.place);
                let adds = |own: &&Tree| {
                    own.text_at("path")
                        .is_some_and(|path| path.starts_with("/static_resources/clusters"))
                };
                known
                    .extend(patches.items().iter().filter(adds).filter_map(|own| own.get("value")));
            }
            _ => {}
        }
        for own in document.get("resources").map(Tree::items).unwrap_or_default() {
            let kind = own.text_at("@type").unwrap_or_default();
            known.extend(Some(own).filter(|_| kind.ends_with(".cluster.v3.Cluster")));
        }
    }
    for (name, is_secure) in clusters(config) {
        match known.iter().find(|own| own.text_at("name") == Some(&name)) {
            Some(cluster) if is_secure => about_tls(cluster, &name, list),
            Some(_) => {}
            None if is_whole && !are_elsewhere => list.push(finding(
                place,
                "cluster_missing",
                format!("there is no cluster `{name}`, by which keys or lists are to be fetched"),
            )),
            None => {}
        }
    }
}

/// Whoever answers decides which tokens are good.
fn about_tls(cluster: &Tree, name: &str, list: &mut Vec<Finding>) {
    let context = cluster.at(&["transport_socket", "typed_config"]).filter(|own| {
        own.text_at("@type").is_some_and(|kind| kind.ends_with(".UpstreamTlsContext"))
    });
    let Some(context) = context else {
        let message =
            format!("keys come from an https address, but the cluster `{name}` has no TLS");
        list.push(finding(cluster.place, "cluster_without_tls", message));
        return;
    };
    let common = context.get("common_tls_context");
    if common.is_some_and(|own| own.get("validation_context_sds_secret_config").is_some()) {
        return;
    }
    let combined = common.and_then(|own| own.get("combined_validation_context"));
    if combined.is_some_and(|own| own.get("validation_context_sds_secret_config").is_some()) {
        return;
    }
    let own = common.and_then(|own| own.get("validation_context"));
    let own = own.or_else(|| combined?.get("default_validation_context"));
    let has =
        |names: &[&str]| names.iter().any(|name| own.is_some_and(|own| own.get(name).is_some()));
    if !has(&["trusted_ca", "system_root_certs", "ca_certificate_provider_instance"]) {
        let message = format!(
            "the cluster `{name}` believes every certificate: its `validation_context` has no \
             `trusted_ca`"
        );
        list.push(finding(context.place, "cluster_without_ca", message));
    }
    let mut names_by_sni = context.get("auto_sni_san_validation").is_some_and(Tree::is_true);
    cluster.each_object(&mut |object| {
        names_by_sni |= object.get("auto_san_validation").is_some_and(Tree::is_true);
    });
    if !has(&["match_typed_subject_alt_names", "match_subject_alt_names"]) && !names_by_sni {
        let message = format!(
            "the cluster `{name}` takes a certificate of any name: its `validation_context` has no \
             `match_typed_subject_alt_names`"
        );
        list.push(finding(context.place, "cluster_without_name", message));
    }
}

/// Whether there is a plugin among these filters, or one that comes by ECDS. Other listeners of the same
/// Envoy are none of the gate's business.
fn may_hold_the_gate(filters: &Tree) -> bool {
    let mut found = false;
    filters.each_object(&mut |object| {
        let is_wasm = |name: &str| {
            object.text_at(name).is_some_and(|kind| kind.ends_with(".http.wasm.v3.Wasm"))
        };
        found |=
            object.get("config_discovery").is_some() || is_wasm("@type") || is_wasm("type_url");
    });
    found
}

/// Rules compare paths, and one path has many spellings.
fn about_paths(config: &Config, loaded: &Loaded, list: &mut Vec<Finding>) {
    let paths = config.rules.iter().filter_map(|rule| rule.matches.as_ref()).map(|own| &own.path);
    let is_any = |path: &PathSpecifier| matches!(path, PathSpecifier::Prefix(own) if own == "/");
    if paths.into_iter().all(is_any) {
        return;
    }
    for document in &loaded.documents {
        document.each_object(&mut |object| {
            let kind = object.text_at("@type").unwrap_or_default();
            let filters = object.get("http_filters");
            if !kind.ends_with(".HttpConnectionManager") || !filters.is_some_and(may_hold_the_gate) {
                return;
            }
            let mut missing: Vec<&str> = ["normalize_path", "merge_slashes"].into();
            missing.retain(|name| !object.get(name).is_some_and(Tree::is_true));
            if object.get("path_with_escaped_slashes_action").is_none() {
                missing.push("path_with_escaped_slashes_action");
            }
            if !missing.is_empty() {
                let message = format!(
                    "rules compare paths, and the connection manager leaves their spellings alone: it \
                     lacks {}",
                    missing.join(", ")
                );
                list.push(finding(object.place, "paths_not_normalized", message));
            }
        });
    }
}

/// Where the file also says how hosts are reached.
fn about_istio(config: &Config, loaded: &Loaded, place: Place, list: &mut Vec<Finding>) {
    let of_kind = |kind: &'static str| {
        let documents = loaded.documents.iter();
        documents.filter(move |own| own.text_at("kind") == Some(kind)).collect::<Vec<_>>()
    };
    let (entries, rules) = (of_kind("ServiceEntry"), of_kind("DestinationRule"));
    if entries.is_empty() && rules.is_empty() {
        return;
    }
    for (name, is_secure) in clusters(config) {
        let Some((_, host)) = name.rsplit_once('|') else { continue };
        let names_host = |own: &&Tree| {
            let hosts = own.at(&["spec", "hosts"]).map(Tree::items).unwrap_or_default();
            hosts.iter().any(|own| own.text() == Some(host))
        };
        if !entries.iter().any(names_host) {
            let message =
                format!("there is no ServiceEntry for `{host}`, from which keys are fetched");
            list.push(finding(place, "cluster_missing", message));
        }
        let rule =
            rules.iter().find(|own| own.at(&["spec", "host"]).and_then(Tree::text) == Some(host));
        let tls = rule.and_then(|own| own.at(&["spec", "traffic_policy", "tls"]));
        let mode = tls.and_then(|own| own.text_at("mode")).unwrap_or("DISABLE");
        let place = rule.map_or(place, |own| own.place);
        if is_secure && !matches!(mode, "SIMPLE" | "MUTUAL") {
            let message = format!(
                "keys come from an https address, but no DestinationRule has `tls.mode: SIMPLE` for \
                 `{host}`"
            );
            list.push(finding(place, "cluster_without_tls", message));
        } else if is_secure && tls.and_then(|own| own.get("subject_alt_names")).is_none() {
            let message = format!("the DestinationRule for `{host}` names no `subjectAltNames`");
            list.push(finding(place, "cluster_without_name", message));
        }
    }
}
