//! `import`: the configuration of another system as ours, and what has no equivalent.

mod alibaba;
mod envoy;
mod higress;
mod istio;
mod istio_policy;
mod kong;
mod yaml;

use jwt_gate::policy::Policy;
use serde_json::{Value, json};

use crate::args::{From, ImportArguments};
use crate::manifest;
use crate::output::{Answer, Lines, Paint, Trouble, Verdict, harmless};
use crate::tree::{Place, Tree};

/// What was made of a file.
#[derive(Debug, Default)]
pub struct Imported {
    /// Configurations, or manifests that hold one.
    documents: Vec<Value>,
    notes: Vec<Note>,
}

/// Something to know about what was made.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Note {
    place: Place,
    /// Whether something is lost.
    is_lost: bool,
    message: String,
}

impl Imported {
    /// What has no equivalent, and what to do.
    fn lost(&mut self, tree: &Tree, message: impl Into<String>) {
        self.notes.push(Note { place: tree.place, is_lost: true, message: message.into() });
    }

    /// What is different, or left to do.
    fn note(&mut self, tree: &Tree, message: impl Into<String>) {
        self.notes.push(Note { place: tree.place, is_lost: false, message: message.into() });
    }
}

pub fn run(arguments: &ImportArguments, paint: Paint) -> Result<Answer, Trouble> {
    let (name, _, trees) = manifest::documents(&arguments.file)?;
    let mut imported = Imported::default();
    let found = match arguments.from {
        From::Envoy => envoy::import(&trees, &mut imported),
        From::Istio => istio::import(&trees, &mut imported),
        From::Higress => higress::import(&trees, &mut imported),
        From::Alibaba => alibaba::import(&trees, &mut imported),
        From::Kong => kong::import(&trees, &mut imported),
    };
    found.map_err(|why| Trouble::new(format!("{name}: {why}")))?;
    // Whatever was made must be a configuration; what is wrong with it had no equivalent.
    for document in imported.documents.clone() {
        let config = document.pointer("/spec/pluginConfig").unwrap_or(&document);
        for error in Policy::parse(config.to_string().as_bytes()).err().unwrap_or_default() {
            let place = trees.first().map_or(Place::START, |tree| tree.place);
            let message = format!("what was made is not valid yet: {error}");
            imported.notes.push(Note { place, is_lost: true, message });
        }
    }
    imported.notes.sort();
    imported.notes.dedup();
    let is_whole = imported.notes.iter().all(|note| !note.is_lost);
    let mut lines = Lines::default();
    for Note { place, is_lost, message } in &imported.notes {
        let kind = match is_lost {
            true => paint.bad("no equivalent"),
            false => paint.warn("note"),
        };
        let Place { line, column } = place;
        lines.push(format_args!("{name}:{line}:{column}: {kind}: {}", harmless(message)));
    }
    let text = match arguments.from {
        From::Istio => yaml::documents(&imported.documents),
        _ => imported.documents.iter().map(|own| format!("{own:#}\n")).collect(),
    };
    let notes = imported.notes.iter().map(|note| {
        let Note { place: Place { line, column }, is_lost, message } = note;
        json!({ "line": line, "column": column, "lost": is_lost, "message": message })
    });
    let json = json!({
        "file": name,
        "documents": imported.documents,
        "notes": notes.collect::<Vec<_>>(),
    });
    let answer = Answer::new(text, json, Verdict::of(is_whole));
    Ok(Answer { aside: lines.text(), ..answer })
}

/// The cluster that a mesh has for an address.
fn mesh_cluster(uri: &str) -> Option<(String, String)> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|own| !own.is_empty())?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => (host, port),
        _ => (authority, if scheme == "http" { "80" } else { "443" }),
    };
    Some((format!("outbound|{port}||{host}"), host.to_owned()))
}

/// A name for a provider, by the host of its issuer, that no other one has.
fn provider_name(issuer: &str, taken: &serde_json::Map<String, Value>) -> String {
    let bare = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let host = bare.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = host.chars().map(plain).collect();
    let name = if name.is_empty() { "main".to_owned() } else { name };
    let mut names =
        std::iter::once(name.clone()).chain((2..).map(|count: u32| format!("{name}-{count}")));
    names.find(|name| !taken.contains_key(name)).unwrap_or_default()
}
