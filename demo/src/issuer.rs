//! The demo issuer: signs people in, hands out tokens, publishes its keys, and
//! rotates them. Tests hold the [`Issuer`] handle and can also make it misbehave.
//!
//! The users and their passwords are public knowledge, nothing limits how often
//! a password may be tried, and the admin routes give any token to anyone:
//! never run it in production.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::keys::{Alg, SigningKey, jwks, random_id};
use crate::page;
use crate::serve::Connection;

/// How long clients may keep the key set.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(300);

/// Passwords that are checked at the same time: each takes 19 MiB for a moment.
const CONCURRENT_LOGINS: usize = 4;

/// Larger than any honest request.
const BODY_LIMIT: usize = 64 * 1024;

/// What an issuer says about itself and how it deals with keys.
#[derive(Clone, Debug)]
pub struct IssuerOptions {
    /// The `iss` claim, and where clients reach the issuer: its routes follow this URL.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// What new keys are for. Not HMAC: the key set would publish the secret.
    pub algorithm: Alg,
    /// From `iat` to `exp`.
    pub token_lifetime: Duration,
    /// How long a key stays published after it was replaced.
    pub previous_key_lifetime: Duration,
    /// Turns the `/demo` routes and the page on.
    pub admin: bool,
}

impl Default for IssuerOptions {
    fn default() -> IssuerOptions {
        let token_lifetime = Duration::from_secs(15 * 60);
        IssuerOptions {
            issuer: "http://127.0.0.1:9000".to_owned(),
            audience: "jwt-gate-demo".to_owned(),
            algorithm: Alg::RS256,
            token_lifetime,
            previous_key_lifetime: token_lifetime + JWKS_MAX_AGE,
            admin: false,
        }
    }
}

/// What goes wrong when someone asks for the key set.
#[derive(Clone, Debug, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// This status, and no body.
    Status(u16),
    /// The right answer, this much later.
    Hang(Duration),
    /// This body, with status 200.
    Body(String),
    /// This status, these header fields and this body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection closes instead of an answer.
    CloseConnection,
}

/// A handle on the issuer: clones share one state.
#[derive(Clone)]
pub struct Issuer(Arc<Shared>);

struct Shared {
    options: IssuerOptions,
    keys: Mutex<Keys>,
    /// Whose turn it is to change the keys. Making one takes long: clients, who
    /// need only `keys`, are answered meanwhile.
    turn: Mutex<()>,
    fault: Mutex<Fault>,
    jwks_fetches: AtomicU64,
    not_modified: AtomicU64,
    jwks_uri: Mutex<Option<String>>,
    last_fetch: Mutex<HeaderMap>,
    logins: Semaphore,
}

struct Keys {
    signing: Arc<SigningKey>,
    staged: Option<Arc<SigningKey>>,
    previous: Vec<(Arc<SigningKey>, Instant)>,
}

impl Keys {
    /// All published keys, the signing one first; drops those whose time is over.
    fn published(&mut self) -> Vec<Arc<SigningKey>> {
        let now = Instant::now();
        self.previous.retain(|(_, until)| now < *until);
        let previous = self.previous.iter().map(|(key, _)| key);
        std::iter::once(&self.signing).chain(&self.staged).chain(previous).cloned().collect()
    }
}

impl Issuer {
    /// Makes an issuer with a first key.
    ///
    /// # Panics
    /// If the algorithm is an HMAC: its only key is secret, and this issuer publishes its keys.
    pub fn new(options: IssuerOptions) -> Issuer {
        assert!(
            !options.algorithm.is_hmac(),
            "an issuer cannot publish {} keys",
            options.algorithm
        );
        // Now rather than at the first login, which would take longer than others.
        LazyLock::force(&USERS);
        let signing = new_key(options.algorithm);
        Issuer(Arc::new(Shared {
            options,
            keys: Mutex::new(Keys { signing, staged: None, previous: Vec::new() }),
            turn: Mutex::default(),
            fault: Mutex::default(),
            jwks_fetches: AtomicU64::new(0),
            not_modified: AtomicU64::new(0),
            jwks_uri: Mutex::default(),
            last_fetch: Mutex::default(),
            logins: Semaphore::new(CONCURRENT_LOGINS),
        }))
    }

    /// The HTTP side.
    pub fn router(&self) -> Router {
        let mut router = Router::new()
            .route("/login", post(login))
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/.well-known/oauth-authorization-server", get(discovery))
            .route("/jwks.json", get(key_set))
            .route("/healthz", get(async || "ok"));
        if self.0.options.admin {
            router = router
                .route("/demo/rotate", post(demo_rotate))
                .route("/demo/mint", post(demo_mint))
                .route("/demo/outage", post(demo_outage))
                .route("/demo/stats", get(demo_stats))
                .merge(page::router());
        }
        router.layer(DefaultBodyLimit::max(BODY_LIMIT)).with_state(self.clone())
    }

    /// Publishes the next key without signing with it yet; clients then know it
    /// before they see its tokens. Returns its id; a key staged before stays the one.
    pub fn stage_key(&self) -> String {
        let _turn = self.turn();
        let next = self.next_key();
        let kid = next.kid().to_owned();
        self.keys().staged = Some(next);
        kid
    }

    /// Signs with another key from now on: the staged one where there is one,
    /// else a fresh one. Returns its id. The key before stays published for the
    /// lifetime of previous keys.
    pub fn rotate(&self) -> String {
        let _turn = self.turn();
        let next = self.next_key();
        let kid = next.kid().to_owned();
        let until = Instant::now() + self.0.options.previous_key_lifetime;
        let mut keys = self.keys();
        keys.staged = None;
        let retired = std::mem::replace(&mut keys.signing, next);
        keys.previous.push((retired, until));
        kid
    }

    /// A token with the standard claims of `alice`, merged with `claims`: a
    /// member replaces the claim of that name, a null removes it.
    pub fn mint(&self, claims: Value) -> String {
        self.mint_with_header(claims, Value::Null)
    }

    /// The same, with `header` merged into the header in the same way. The key
    /// and its algorithm are the current ones, whatever the header then says.
    pub fn mint_with_header(&self, claims: Value, header: Value) -> String {
        let key = self.signing_key();
        let claims = merged(self.claims(&USERS[0]), claims);
        let header = merged(key.header(), header);
        key.sign_with_header(&header, claims.to_string().as_bytes())
    }

    /// The key that signs now.
    pub fn signing_key(&self) -> Arc<SigningKey> {
        self.keys().signing.clone()
    }

    /// The ids of the published keys: the signing one, then the staged one, then previous ones.
    pub fn kids(&self) -> Vec<String> {
        let keys = self.keys().published();
        keys.iter().map(|key| key.kid().to_owned()).collect()
    }

    /// The key set as `/jwks.json` answers it.
    pub fn jwks(&self) -> Value {
        let keys = self.keys().published();
        jwks(&keys.iter().map(Arc::as_ref).collect::<Vec<_>>())
    }

    /// How often `/jwks.json` was asked for, faults included.
    pub fn jwks_fetches(&self) -> u64 {
        self.0.jwks_fetches.load(Ordering::Relaxed)
    }

    /// How often the answer was that nothing has changed (304).
    pub fn not_modified(&self) -> u64 {
        self.0.not_modified.load(Ordering::Relaxed)
    }

    /// A header field of the latest request for `/jwks.json`.
    pub fn last_fetch_header(&self, name: &str) -> Option<String> {
        let headers = lock(&self.0.last_fetch);
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// Has the metadata name another place for the keys.
    pub fn set_jwks_uri(&self, uri: &str) {
        *lock(&self.0.jwks_uri) = Some(uri.to_owned());
    }

    /// Makes `/jwks.json` misbehave from now on, or with [`Fault::None`] behave again.
    pub fn set_fault(&self, fault: Fault) {
        *lock(&self.0.fault) = fault;
    }

    fn fault(&self) -> Fault {
        lock(&self.0.fault).clone()
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        lock(&self.0.keys)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        lock(&self.0.turn)
    }

    /// The staged key or else a fresh one.
    fn next_key(&self) -> Arc<SigningKey> {
        let staged = self.keys().staged.clone();
        staged.unwrap_or_else(|| new_key(self.0.options.algorithm))
    }

    fn claims(&self, user: &User) -> Value {
        let options = &self.0.options;
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
        json!({
            "iss": options.issuer,
            "sub": user.username,
            "aud": options.audience,
            "iat": now,
            "nbf": now,
            "exp": now + options.token_lifetime.as_secs(),
            "jti": random_id(),
            "scope": user.scope,
            "name": user.name,
            "email": format!("{}@example.com", user.username),
            "roles": user.roles,
            "address": { "country": user.country },
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic with the lock held")
}

fn new_key(algorithm: Alg) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(algorithm, &random_id()))
}

fn merged(mut base: Value, overrides: Value) -> Value {
    if let (Some(base), Value::Object(overrides)) = (base.as_object_mut(), overrides) {
        for (name, value) in overrides {
            match value {
                Value::Null => base.remove(&name),
                value => base.insert(name, value),
            };
        }
    }
    base
}

struct User {
    username: &'static str,
    /// A PHC string: algorithm, parameters, salt and hash.
    password: String,
    name: &'static str,
    scope: &'static str,
    roles: &'static [&'static str],
    country: &'static str,
}

static USERS: LazyLock<[User; 2]> = LazyLock::new(|| {
    [
        User {
            username: "alice",
            password: hash_password("wonderland"),
            name: "Alice Liddell",
            scope: "orders:read orders:write",
            roles: &["admin"],
            country: "GB",
        },
        User {
            username: "bob",
            password: hash_password("builder"),
            name: "Bob Baumeister",
            scope: "orders:read",
            roles: &[],
            country: "DE",
        },
    ]
});

fn hash_password(password: &str) -> String {
    Argon2::default()
        .hash_password(password.as_bytes())
        .expect("a password that can be hashed")
        .to_string()
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// From a form or a JSON body.
    async fn of(request: Request) -> Option<Credentials> {
        let form = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form"));
        if form {
            let form = Form::from_request(request, &()).await;
            form.ok().map(|Form(credentials)| credentials)
        } else {
            let json = Json::from_request(request, &()).await;
            json.ok().map(|Json(credentials)| credentials)
        }
    }

    /// The user, if the password is right. Takes as long for a name that nobody
    /// has: some hash is always checked, so time does not tell which names exist.
    fn user(&self) -> Option<&'static User> {
        let user = USERS.iter().find(|user| user.username == self.username);
        let hash = &user.unwrap_or(&USERS[0]).password;
        let hash = PasswordHash::new(hash).expect("made by this process");
        let right = Argon2::default().verify_password(self.password.as_bytes(), &hash);
        user.filter(|_| right.is_ok())
    }
}

async fn login(State(issuer): State<Issuer>, request: Request) -> Response {
    let Some(credentials) = Credentials::of(request).await else {
        return oauth_error(StatusCode::BAD_REQUEST, "invalid_request");
    };
    let token = {
        let _permit = issuer.0.logins.acquire().await.expect("never closed");
        let issuer = issuer.clone();
        spawn_blocking(move || {
            let user = credentials.user()?;
            Some(issuer.signing_key().sign(&issuer.claims(user)))
        })
        .await
        .expect("no panic in a login")
    };
    let Some(token) = token else {
        return oauth_error(StatusCode::UNAUTHORIZED, "invalid_grant");
    };
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": issuer.0.options.token_lifetime.as_secs(),
    });
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn oauth_error(status: StatusCode, error: &str) -> Response {
    let body = Json(json!({ "error": error }));
    (status, [(CACHE_CONTROL, "no-store")], body).into_response()
}

async fn discovery(State(issuer): State<Issuer>) -> Json<Value> {
    let options = &issuer.0.options;
    let url = options.issuer.trim_end_matches('/');
    Json(json!({
        "issuer": options.issuer,
        "jwks_uri": lock(&issuer.0.jwks_uri).clone().unwrap_or(format!("{url}/jwks.json")),
        "token_endpoint": format!("{url}/login"),
        "id_token_signing_alg_values_supported": [options.algorithm.as_str()],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
    }))
}

async fn key_set(
    State(issuer): State<Issuer>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
) -> Response {
    issuer.0.jwks_fetches.fetch_add(1, Ordering::Relaxed);
    let known = headers.get(IF_NONE_MATCH).cloned();
    *lock(&issuer.0.last_fetch) = headers;
    match issuer.fault() {
        Fault::None => {}
        Fault::Hang(time) => tokio::time::sleep(time).await,
        Fault::Status(status) => {
            return StatusCode::from_u16(status)
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
                .into_response();
        }
        Fault::Body(body) => return ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Fault::Answer(status, headers, body) => {
            let mut response = body.into_response();
            *response.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response.headers_mut().clear();
            for (name, value) in headers {
                if let Ok(value) = HeaderValue::try_from(value) {
                    response.headers_mut().append(name, value);
                }
            }
            return response;
        }
        Fault::CloseConnection => match connection {
            Some(Extension(connection)) => connection.close().await,
            // Some other server than ours runs the router.
            None => return StatusCode::BAD_GATEWAY.into_response(),
        },
    }
    let max_age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    let set = issuer.jwks();
    let mut hasher = DefaultHasher::new();
    set.to_string().hash(&mut hasher);
    let etag = format!("\"{:x}\"", hasher.finish());
    let same = known.is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let headers = [(CACHE_CONTROL, max_age), (ETAG, etag)];
    if same {
        issuer.0.not_modified.fetch_add(1, Ordering::Relaxed);
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, Json(set)).into_response()
}

async fn demo_rotate(State(issuer): State<Issuer>) -> Json<Value> {
    let kid = spawn_blocking(move || issuer.rotate()).await;
    Json(json!({ "kid": kid.expect("no panic in a rotation") }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MintRequest {
    claims: Map<String, Value>,
    header: Map<String, Value>,
}

async fn demo_mint(State(issuer): State<Issuer>, body: Bytes) -> Response {
    // Without a body: the standard token.
    let request = match &body[..] {
        b"" => Ok(MintRequest::default()),
        body => serde_json::from_slice::<MintRequest>(body),
    };
    match request {
        Ok(MintRequest { claims, header }) => {
            let token = issuer.mint_with_header(claims.into(), header.into());
            let body = Json(json!({ "access_token": token }));
            ([(CACHE_CONTROL, "no-store")], body).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageRequest {
    keys_offline: bool,
}

/// Takes the key set away, or brings it back.
async fn demo_outage(State(issuer): State<Issuer>, body: Bytes) -> Response {
    match serde_json::from_slice::<OutageRequest>(&body) {
        Ok(OutageRequest { keys_offline }) => {
            issuer.set_fault(if keys_offline { Fault::Status(503) } else { Fault::None });
            Json(json!({ "keys_offline": keys_offline })).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

async fn demo_stats(State(issuer): State<Issuer>) -> Json<Value> {
    Json(json!({
        "jwks_fetches": issuer.jwks_fetches(),
        "keys_offline": !matches!(issuer.fault(), Fault::None),
        "kids": issuer.kids(),
    }))
}

#[cfg(test)]
mod tests {
    use std::io;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::http;
    use crate::serve::Server;

    /// An issuer with keys that are quick to make.
    fn options() -> IssuerOptions {
        IssuerOptions {
            issuer: "https://issuer.test/".to_owned(),
            algorithm: Alg::ES256,
            admin: true,
            ..IssuerOptions::default()
        }
    }

    fn start(options: IssuerOptions) -> (Issuer, Server) {
        let issuer = Issuer::new(options);
        let server = Server::start(([127, 0, 0, 1], 0).into(), issuer.router(), None);
        (issuer, server.unwrap())
    }

    fn get(server: &Server, path: &str) -> io::Result<http::Response> {
        http::Request::get(path).send(server.addr())
    }

    fn post(server: &Server, path: &str, body: &Value) -> http::Response {
        http::Request::post_json(path, body).send(server.addr()).unwrap()
    }

    fn part(token: &str, index: usize) -> Value {
        let part = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_login_answers_a_token() {
        let (issuer, server) = start(options());
        let login = json!({ "username": "alice", "password": "wonderland" });
        let json = post(&server, "/login", &login);
        let form = http::Request::new("POST", "/login")
            .header("content-type", "application/x-www-form-urlencoded")
            .body("username=bob&password=builder")
            .send(server.addr())
            .unwrap();
        for (response, user, scope, roles) in [
            (json, "alice", "orders:read orders:write", json!(["admin"])),
            (form, "bob", "orders:read", json!([])),
        ] {
            assert_eq!(response.status, 200);
            assert_eq!(response.header("cache-control").unwrap(), "no-store");
            let answer = response.json().unwrap();
            assert_eq!(answer["token_type"], "Bearer");
            assert_eq!(answer["expires_in"], 900);
            let token = answer["access_token"].as_str().unwrap();
            assert_eq!(part(token, 0)["kid"], issuer.kids()[0]);
            let claims = part(token, 1);
            assert_eq!(claims["iss"], "https://issuer.test/");
            assert_eq!(claims["sub"], user);
            assert_eq!(claims["aud"], "jwt-gate-demo");
            assert_eq!(claims["scope"], scope);
            assert_eq!(claims["roles"], roles);
            assert!(claims["address"]["country"].is_string());
            let time = |name: &str| claims[name].as_u64().unwrap();
            assert_eq!(time("exp"), time("iat") + 900);
            assert_eq!(time("nbf"), time("iat"));
        }
    }

    #[test]
    fn a_wrong_login_answers_an_error() {
        let (_, server) = start(options());
        for (username, password) in [("alice", "builder"), ("carol", "wonderland"), ("", "")] {
            let login = json!({ "username": username, "password": password });
            let response = post(&server, "/login", &login);
            assert_eq!(response.status, 401);
            assert_eq!(response.text(), r#"{"error":"invalid_grant"}"#);
        }
        let response = post(&server, "/login", &json!({ "username": "alice" }));
        assert_eq!(response.status, 400);
        assert_eq!(response.text(), r#"{"error":"invalid_request"}"#);
        assert_eq!(get(&server, "/login").unwrap().status, 405);
    }

    #[test]
    fn passwords_are_kept_as_argon2id_and_checked_for_unknown_names_too() {
        assert!(USERS[0].password.starts_with("$argon2id$v=19$m="));
        let nobody =
            Credentials { username: "nobody".to_owned(), password: "wonderland".to_owned() };
        // Argon2 fills 19 MiB twice, which no machine does in a millisecond; a
        // look-up takes a microsecond. Comparing with a known name would only
        // measure what else this machine does.
        let start = Instant::now();
        assert!(nobody.user().is_none());
        assert!(start.elapsed() > Duration::from_millis(1));
    }

    #[test]
    fn the_discovery_document_names_the_routes() {
        let (_, server) = start(options());
        let response = get(&server, "/.well-known/openid-configuration").unwrap();
        let document = response.json().unwrap();
        assert_eq!(document["issuer"], "https://issuer.test/");
        assert_eq!(document["jwks_uri"], "https://issuer.test/jwks.json");
        assert_eq!(document["token_endpoint"], "https://issuer.test/login");
        let algorithms = &document["id_token_signing_alg_values_supported"];
        assert_eq!(algorithms, &json!(["ES256"]));
        assert_eq!(get(&server, "/healthz").unwrap().status, 200);
    }

    #[test]
    fn the_key_set_is_published_and_fetches_are_counted() {
        let (issuer, server) = start(options());
        let response = get(&server, "/jwks.json").unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type").unwrap(), "application/json");
        assert_eq!(response.header("cache-control").unwrap(), "public, max-age=300");
        let set = response.json().unwrap();
        assert_eq!(set, issuer.jwks());
        assert_eq!(set["keys"].as_array().unwrap().len(), 1);
        assert_eq!(set["keys"][0], issuer.signing_key().public_jwk());
        get(&server, "/jwks.json").unwrap();
        assert_eq!(issuer.jwks_fetches(), 2);
    }

    #[test]
    fn rotation_keeps_the_previous_key() {
        let issuer = Issuer::new(options());
        let first = issuer.kids();
        let second = issuer.rotate();
        assert_eq!(issuer.kids(), [second.as_str(), &first[0]]);
        assert_eq!(part(&issuer.mint(json!({})), 0)["kid"], second);

        // In two steps: published, then used.
        let third = issuer.stage_key();
        assert_eq!(issuer.stage_key(), third);
        assert_eq!(issuer.kids(), [second.as_str(), &third, &first[0]]);
        assert_eq!(part(&issuer.mint(json!({})), 0)["kid"], second);
        assert_eq!(issuer.rotate(), third);
        assert_eq!(issuer.kids(), [third.as_str(), &first[0], &second]);
        assert_eq!(part(&issuer.mint(json!({})), 0)["kid"], third);
    }

    #[test]
    fn a_previous_key_goes_when_its_time_is_over() {
        let issuer =
            Issuer::new(IssuerOptions { previous_key_lifetime: Duration::ZERO, ..options() });
        let kid = issuer.rotate();
        assert_eq!(issuer.kids(), [kid]);
    }

    #[test]
    fn overrides_replace_and_remove() {
        let issuer = Issuer::new(options());
        let claims = json!({ "sub": "mallory", "aud": ["a", "b"], "exp": null, "extra": 1 });
        let token = issuer.mint_with_header(claims, json!({ "alg": "none", "typ": null }));
        let claims = part(&token, 1);
        assert_eq!(claims["sub"], "mallory");
        assert_eq!(claims["aud"], json!(["a", "b"]));
        assert_eq!(claims["extra"], 1);
        assert_eq!(claims["iss"], "https://issuer.test/");
        assert!(claims.get("exp").is_none());
        let header = json!({ "alg": "none", "kid": issuer.kids()[0] });
        assert_eq!(part(&token, 0), header);
    }

    #[test]
    fn the_demo_routes_exist_only_when_asked_for() {
        let (issuer, server) = start(options());
        let answer = post(&server, "/demo/rotate", &json!({})).json().unwrap();
        assert_eq!(answer["kid"], issuer.kids()[0]);
        let request = json!({ "claims": { "sub": "eve" }, "header": { "kid": "other" } });
        let answer = post(&server, "/demo/mint", &request).json().unwrap();
        let token = answer["access_token"].as_str().unwrap();
        assert_eq!(part(token, 0)["kid"], "other");
        assert_eq!(part(token, 1)["sub"], "eve");
        let standard = http::Request::new("POST", "/demo/mint").send(server.addr());
        assert_eq!(standard.unwrap().status, 200);
        let response = post(&server, "/demo/mint", &json!({ "sub": "eve" }));
        assert_eq!(response.status, 400);
        let stats = || get(&server, "/demo/stats").unwrap().json().unwrap();
        let expected = json!({ "jwks_fetches": 0, "keys_offline": false, "kids": issuer.kids() });
        assert_eq!(stats(), expected);
        for (offline, status) in [(true, 503), (false, 200)] {
            let request = json!({ "keys_offline": offline });
            let answer = post(&server, "/demo/outage", &request);
            assert_eq!((answer.status, answer.json().unwrap()), (200, request));
            assert_eq!(stats()["keys_offline"], offline);
            assert_eq!(get(&server, "/jwks.json").unwrap().status, status);
        }
        for wrong in [json!({}), json!({ "keys_offline": 1 }), json!({ "offline": true })] {
            assert_eq!(post(&server, "/demo/outage", &wrong).status, 400);
        }

        let (_, server) = start(IssuerOptions { admin: false, ..options() });
        for path in ["/demo/rotate", "/demo/mint", "/demo/stats", "/demo/outage", "/"] {
            assert_eq!(post(&server, path, &json!({})).status, 404);
        }
        for path in ["/", "/demo/page.js", "/demo/page.css"] {
            assert_eq!(get(&server, path).unwrap().status, 404);
        }
    }

    #[test]
    fn faults_befall_the_key_set_only() {
        let (issuer, server) = start(options());
        let key_set = || get(&server, "/jwks.json");
        issuer.set_fault(Fault::Status(503));
        assert_eq!(key_set().unwrap().status, 503);
        assert_eq!(get(&server, "/healthz").unwrap().status, 200);
        issuer.set_fault(Fault::Body("{".to_owned()));
        assert_eq!(key_set().unwrap().text(), "{");
        issuer.set_fault(Fault::CloseConnection);
        assert!(key_set().is_err());
        issuer.set_fault(Fault::Hang(Duration::from_millis(200)));
        let start = Instant::now();
        assert_eq!(key_set().unwrap().json().unwrap(), issuer.jwks());
        assert!(start.elapsed() >= Duration::from_millis(200));
        issuer.set_fault(Fault::None);
        assert_eq!(key_set().unwrap().status, 200);
        assert_eq!(issuer.jwks_fetches(), 5);
    }

    #[test]
    #[should_panic(expected = "cannot publish HS256 keys")]
    fn hmac_secrets_are_not_published() {
        Issuer::new(IssuerOptions { algorithm: Alg::HS256, ..options() });
    }
}
