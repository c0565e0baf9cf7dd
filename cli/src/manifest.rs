//! Finds configurations in files: bare ones, those in a WasmPlugin of Istio or Higress, in an
//! EnvoyExtensionPolicy of Envoy Gateway, in an Envoy's configuration or an EnvoyFilter.

use std::path::Path;

use crate::files;
use crate::output::Trouble;
use crate::tree::{Data, Flaw, Origin, Tree, json, yaml};

/// What is in a file.
#[derive(Debug)]
pub struct Loaded {
    /// What the file is called.
    pub name: String,
    /// Everything that stands in it.
    pub documents: Vec<Tree>,
    /// The configurations of the gate.
    pub found: Vec<Found>,
    /// What was passed over.
    pub passed_over: Vec<String>,
}

/// A configuration.
#[derive(Debug)]
pub struct Found {
    /// What it is in.
    pub title: String,
    /// What the plugin gets.
    pub text: Vec<u8>,
    /// The same, with places.
    pub tree: Tree,
    /// Why it cannot be read at all.
    pub flaw: Option<Flaw>,
    /// What it is delivered by.
    pub carrier: Carrier,
}

/// What a configuration is delivered by.
#[derive(Clone, Debug)]
pub enum Carrier {
    /// Nothing that is known.
    Bare,
    /// The `PluginConfig` of Envoy.
    Envoy(Tree),
    /// One of `spec.wasm` of an EnvoyExtensionPolicy.
    ExtensionPolicy(Tree),
    /// The `spec` of a WasmPlugin.
    WasmPlugin(Tree),
}

/// Why a file is not used.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be had, or is something else.
    Trouble(Trouble),
    /// It is neither JSON nor YAML.
    Flawed(String, Flaw),
}

impl From<Trouble> for Unusable {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<Unusable> for Trouble {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Trouble(trouble) => trouble,
            Unusable::Flawed(name, Flaw { place, message }) => {
                Trouble::new(format!("{name}:{}:{}: {message}", place.line, place.column))
            }
        }
    }
}

/// Everything in a file, JSON or YAML.
pub fn documents(path: &Path) -> Result<(String, Vec<u8>, Vec<Tree>), Unusable> {
    let text = files::read_text(path)?;
    let name = files::name(path);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let is_called = |suffix: &str| path.extension().is_some_and(|own| own == suffix);
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    let is_json = is_called("json") || looks_like_json && !is_called("yaml") && !is_called("yml");
    let documents = match is_json {
        true => json::parse(text.as_bytes()).map(|tree| vec![tree]),
        false => yaml::parse(text),
    };
    let documents = documents.map_err(|flaw| Unusable::Flawed(name.clone(), flaw))?;
    if documents.is_empty() {
        return Err(Trouble::new(format!("{name}: there is nothing in it but comments")).into());
    }
    // As it is, where it is JSON already: numbers keep every digit.
    let octets = if is_json { text.as_bytes().to_vec() } else { Vec::new() };
    Ok((name, octets, documents))
}

/// Reads a file and finds the configurations in it.
pub fn load(path: &Path) -> Result<Loaded, Unusable> {
    let (name, octets, documents) = documents(path)?;
    let mut loaded =
        Loaded { name, documents: Vec::new(), found: Vec::new(), passed_over: Vec::new() };
    let mut others = Vec::new();
    for document in items(&documents) {
        match document.text_at("kind") {
            Some("WasmPlugin") => loaded.take_wasm_plugin(document),
            Some("EnvoyExtensionPolicy") => loaded.take_extension_policy(document),
            Some("EnvoyFilter") => loaded.take_envoy(document),
            Some(kind) => others.push(kind),
            None if is_envoy(document) => loaded.take_envoy(document),
            None => loaded.take_bare(document, &octets)?,
        }
    }
    if loaded.found.is_empty() {
        let advice = match others.as_slice() {
            _ if !loaded.passed_over.is_empty() => {
                format!("only {}", loaded.passed_over.join("; "))
            }
            [] => advice_for_envoy(&documents),
            kinds => advice_for_kinds(kinds),
        };
        return Err(Trouble::new(format!(
            "{}: no configuration of jwt-gate: {advice}",
            loaded.name
        ))
        .into());
    }
    loaded.documents = documents;
    Ok(loaded)
}

/// The documents, and those in a Kubernetes list.
fn items(documents: &[Tree]) -> Vec<&Tree> {
    let inner = |tree: &'_ Tree| tree.text_at("kind").is_some_and(|kind| kind == "List");
    let mut all = Vec::new();
    for tree in documents {
        match tree.get("items").filter(|_| inner(tree)) {
            Some(list) => all.extend(list.items()),
            None => all.push(tree),
        }
    }
    all
}

fn is_envoy(tree: &Tree) -> bool {
    let names = [
        "static_resources",
        "dynamic_resources",
        "@type",
        "resources",
        "filter_chains",
        "http_filters",
    ];
    names.iter().any(|name| tree.get(name).is_some())
}

fn advice_for_kinds(kinds: &[&str]) -> String {
    let told = |kind: &str| match kind {
        "RequestAuthentication" | "AuthorizationPolicy" => {
            format!("a {kind} is Istio's own; `jwt-gate import istio` converts it")
        }
        kind => {
            let article = if kind.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
            format!(
                "it holds {article} {kind}, and a WasmPlugin, an EnvoyExtensionPolicy or an EnvoyFilter is \
                 expected"
            )
        }
    };
    kinds.first().map(|kind| told(kind)).unwrap_or_default()
}

fn advice_for_envoy(documents: &[Tree]) -> String {
    let mut is_native = false;
    for tree in documents {
        tree.each_object(&mut |object| {
            let kind = object.text_at("@type").unwrap_or_default();
            is_native |= kind.ends_with(".jwt_authn.v3.JwtAuthentication");
        });
    }
    match is_native {
        true => "it has Envoy's own jwt_authn; `jwt-gate import envoy` converts it".to_owned(),
        false => "it has no filter envoy.filters.http.wasm".to_owned(),
    }
}

/// What an object is that is no configuration, and what to do with it.
fn something_else(tree: &Tree) -> Option<&'static str> {
    let has = |name: &str| tree.get(name).is_some();
    if !tree.is_object() {
        return Some("a configuration is an object with `providers`");
    }
    if has("providers") {
        return None;
    }
    if tree.get("keys").is_some_and(|keys| matches!(keys.data, Data::List(_))) || has("kty") {
        return Some("this is a key set or a key; `jwt-gate jwks` looks at those");
    }
    if has("_format_version") {
        return Some("this is Kong's; `jwt-gate import kong` converts it");
    }
    if has("jwks_uri") {
        return Some("this is an issuer's metadata");
    }
    None
}

impl Loaded {
    fn take_bare(&mut self, document: &Tree, octets: &[u8]) -> Result<(), Unusable> {
        if let Some(what) = something_else(document) {
            return Err(Trouble::new(format!("{}: {what}", self.name)).into());
        }
        let text = match octets {
            [] => document.to_value().to_string().into_bytes(),
            octets => octets.to_vec(),
        };
        self.found.push(Found {
            title: "a plugin configuration".to_owned(),
            text,
            tree: document.clone(),
            flaw: None,
            carrier: Carrier::Bare,
        });
        Ok(())
    }

    fn take_wasm_plugin(&mut self, document: &Tree) {
        let name =
            document.at(&["metadata", "name"]).and_then(Tree::text).unwrap_or("without a name");
        let title = format!("WasmPlugin {name}");
        let Some(spec) = document.get("spec") else {
            return self.passed_over.push(format!("{title}, without a `spec`"));
        };
        // Higress has another name for it.
        let config = spec.get("plugin_config").or_else(|| spec.get("default_config"));
        match config.filter(|tree| tree.is_object()) {
            Some(tree) => self.found.push(Found {
                title,
                text: tree.to_value().to_string().into_bytes(),
                tree: tree.clone(),
                flaw: None,
                carrier: Carrier::WasmPlugin(spec.clone()),
            }),
            None if has_rules_of_higress(spec) => self.passed_over.push(format!(
                "{title}, which has `matchRules` and no `defaultConfig`: the gate takes its configuration there only"
            )),
            None => self.passed_over.push(format!("{title}, without a `pluginConfig`")),
        }
    }

    fn take_extension_policy(&mut self, document: &Tree) {
        let name =
            document.at(&["metadata", "name"]).and_then(Tree::text).unwrap_or("without a name");
        let title = format!("EnvoyExtensionPolicy {name}");
        let extensions = document.at(&["spec", "wasm"]).map(Tree::items).unwrap_or_default();
        if extensions.is_empty() {
            return self.passed_over.push(format!("{title}, without any `spec.wasm`"));
        }
        for (index, extension) in extensions.iter().enumerate() {
            let title = format!("{title}, spec.wasm[{index}]");
            let config = extension.get("config").filter(|tree| tree.is_object());
            let looks_like_ours = config.is_some_and(|tree| tree.get("providers").is_some());
            match config {
                Some(tree) if looks_like_ours || is_ours(extension) => self.found.push(Found {
                    title,
                    text: tree.to_value().to_string().into_bytes(),
                    tree: tree.clone(),
                    flaw: None,
                    carrier: Carrier::ExtensionPolicy(extension.clone()),
                }),
                None if is_ours(extension) => {
                    self.passed_over.push(format!("{title}, without a `config`"));
                }
                _ => self.passed_over.push(format!("{title}, which is another one")),
            }
        }
    }

    fn take_envoy(&mut self, document: &Tree) {
        let mut plugins = Vec::new();
        document.each_object(&mut |object| {
            let is_wasm = |name: &str| {
                object.text_at(name).is_some_and(|kind| kind.ends_with(".http.wasm.v3.Wasm"))
            };
            if is_wasm("@type") {
                plugins.extend(object.get("config"));
            } else if is_wasm("type_url") {
                plugins.extend(object.at(&["value", "config"]));
            }
        });
        for plugin in plugins {
            let name = plugin.text_at("name").unwrap_or("without a name");
            let title = format!("the Wasm plugin `{name}`");
            let Some(configuration) = plugin.get("configuration") else {
                self.passed_over.push(format!("{title}, without a `configuration`"));
                continue;
            };
            let kind = configuration.text_at("@type").unwrap_or_default();
            let value = configuration.get("value");
            let found = match value.map(|value| (&value.data, value)) {
                Some((Data::Text(text, origin), value)) => envoy_text(text, *origin, value),
                Some((Data::Object(_), value)) if kind.ends_with(".Struct") || kind.is_empty() => {
                    (value.to_value().to_string().into_bytes(), value.clone(), None)
                }
                _ => {
                    self.passed_over.push(format!(
                        "{title}, whose `configuration` is neither a StringValue nor a Struct"
                    ));
                    continue;
                }
            };
            let (text, tree, flaw) = found;
            let looks_like_ours = match flaw {
                Some(_) => String::from_utf8_lossy(&text).contains("\"providers\""),
                None => tree.get("providers").is_some(),
            };
            if !looks_like_ours && !is_ours(plugin) {
                self.passed_over.push(format!("{title}, which is another one"));
                continue;
            }
            let carrier = Carrier::Envoy(plugin.clone());
            self.found.push(Found { title, text, tree, flaw, carrier });
        }
    }
}

fn envoy_text(text: &str, origin: Origin, value: &Tree) -> (Vec<u8>, Tree, Option<Flaw>) {
    let (tree, flaw) = match json::parse_within(text.as_bytes(), origin) {
        Ok(tree) => (tree, None),
        Err(flaw) => (value.clone(), Some(flaw)),
    };
    (text.as_bytes().to_vec(), tree, flaw)
}

/// Whether a WasmPlugin of Higress has rules that choose a configuration.
pub fn has_rules_of_higress(spec: &Tree) -> bool {
    spec.get("match_rules").is_some_and(|rules| !rules.items().is_empty())
}

/// Whether a plugin is the gate, by its name or its module's.
fn is_ours(plugin: &Tree) -> bool {
    let mut is_ours = false;
    let names = |text: &str| text.contains("jwt-gate") || text.contains("jwt_gate");
    plugin.each_object(&mut |object| {
        let texts = ["name", "vm_id", "filename", "uri", "url"]
            .iter()
            .filter_map(|name| object.text_at(name));
        is_ours |= texts.into_iter().any(names);
    });
    is_ours
}
