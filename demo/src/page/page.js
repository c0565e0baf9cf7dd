// The demo's page: asks the issuer for tokens, spoils some, sends calls through Envoy and shows what
// came of them. No library; every text from outside is set as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);

/** An element with these properties, or else attributes, and children. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function drawn(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

const nowInSeconds = () => Math.floor(Date.now() / 1000);
const short = (kid) => (kid ? `${String(kid).slice(0, 8)}…` : "none");

// ---------------------------------------------------------------- tokens

const encoder = new TextEncoder();

function base64url(octets) {
  let text = "";
  for (const octet of octets) text += String.fromCharCode(octet);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decodedPart(part) {
  const text = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
}

const encodedPart = (value) => base64url(encoder.encode(JSON.stringify(value)));

function parsed(raw) {
  const parts = raw.split(".");
  return { raw, parts, header: decodedPart(parts[0]), claims: decodedPart(parts[1]) };
}

/** The token that calls are sent with. */
let token = null;

async function answerOf(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path} answers ${response.status}`);
  return response.json();
}

/** A token of the issuer for the same user, with these claims in place of its own. */
async function minted(claims, header = {}) {
  const own = { ...token.claims };
  for (const fresh of ["iat", "nbf", "exp", "jti"]) delete own[fresh];
  return (await answerOf("/demo/mint", { claims: { ...own, ...claims }, header })).access_token;
}

const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** Signed well, by a key of this browser's own; with `bring`, the header has that key in it. */
async function signedByStranger(bring) {
  const parameters = { ...rsa, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(parameters, true, ["sign", "verify"]);
  const header = { ...token.header, alg: "RS256" };
  if (bring) {
    const { kty, n, e } = await crypto.subtle.exportKey("jwk", publicKey);
    header.jwk = { kty, n, e };
  }
  const signed = `${encodedPart(header)}.${encodedPart({ ...token.claims, sub: "admin" })}`;
  const signature = await crypto.subtle.sign(rsa, privateKey, encoder.encode(signed));
  return `${signed}.${base64url(new Uint8Array(signature))}`;
}

/** The old trick: what is public, the key in PEM, as the secret of an HMAC. */
async function signedByPublicKey() {
  const set = await (await fetch("/jwks.json")).json();
  const jwk = set.keys.find((key) => key.kid === token.header.kid);
  if (!jwk || jwk.kty !== "RSA") throw new Error("the issuer publishes no RSA key with this kid");
  const { kty, n, e } = jwk;
  const key = await crypto.subtle.importKey("jwk", { kty, n, e }, rsa, true, ["verify"]);
  const der = new Uint8Array(await crypto.subtle.exportKey("spki", key));
  const lines = btoa(String.fromCharCode(...der)).match(/.{1,64}/g).join("\n");
  const pem = `-----BEGIN PUBLIC KEY-----\n${lines}\n-----END PUBLIC KEY-----\n`;
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const secret = await crypto.subtle.importKey("raw", encoder.encode(pem), hmac, false, ["sign"]);
  const signed = `${encodedPart({ ...token.header, alg: "HS256" })}.${encodedPart({ ...token.claims, sub: "admin" })}`;
  const signature = await crypto.subtle.sign("HMAC", secret, encoder.encode(signed));
  return `${signed}.${base64url(new Uint8Array(signature))}`;
}

// ---------------------------------------------------------------- calls

const bearer = (raw) => ({ headers: { authorization: `Bearer ${raw}` } });

/** What can be sent. `make` gives the request; `free` calls need no token of ours. */
const GOOD = [
  { id: "good", name: "Read orders", about: "GET /orders with the token", make: () => bearer(token.raw) },
  {
    id: "write", name: "Write an order", about: "POST /orders; the rule asks for the scope orders:write",
    make: () => ({ ...bearer(token.raw), method: "POST" }),
  },
  {
    id: "spoof", name: "Claim to be admin", about: "with a header x-jwt-sub of one's own, which is struck",
    make: () => ({ headers: { ...bearer(token.raw).headers, "x-jwt-sub": "admin" } }),
  },
  {
    id: "query", name: "Token in the query", about: "?access_token=…, which is taken out of the path",
    make: () => ({ path: `/orders?page=2&access_token=${token.raw}` }),
  },
];
const BAD = [
  { id: "missing", name: "No token", about: "GET /orders as anybody", free: true, make: () => ({}) },
  {
    id: "changed", name: "Changed claim", about: "sub becomes admin, under the old signature",
    make: () => bearer([token.parts[0], encodedPart({ ...token.claims, sub: "admin" }), token.parts[2]].join(".")),
  },
  {
    id: "signature", name: "Changed signature", about: "one letter of it",
    make: () => {
      const [header, claims, signature] = token.parts;
      return bearer(`${header}.${claims}.${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`);
    },
  },
  {
    id: "none", name: "alg: none", about: "the header says that nothing is signed",
    make: () => bearer([encodedPart({ alg: "none", typ: "JWT" }), token.parts[1], token.parts[2]].join(".")),
  },
  {
    id: "confusion", name: "HS256 by the public key", about: "what everybody knows, taken for a secret",
    secure: true, make: async () => bearer(await signedByPublicKey()),
  },
  {
    id: "stranger", name: "Another key", about: "well signed, by a key made in this browser",
    secure: true, make: async () => bearer(await signedByStranger(false)),
  },
  {
    id: "own-key", name: "Brings its own key", about: "the same, with that key in the header as jwk",
    secure: true, make: async () => bearer(await signedByStranger(true)),
  },
  {
    id: "expired", name: "Expired", about: "signed by the issuer, over for an hour",
    make: async () => {
      const now = nowInSeconds();
      return bearer(await minted({ iat: now - 4500, nbf: now - 4500, exp: now - 3600 }));
    },
  },
  {
    id: "early", name: "Not valid yet", about: "signed by the issuer, good from tomorrow",
    make: async () => {
      const tomorrow = nowInSeconds() + 86400;
      return bearer(await minted({ nbf: tomorrow, exp: tomorrow + 900 }));
    },
  },
  {
    id: "audience", name: "Wrong audience", about: "a good token, for another service",
    make: async () => bearer(await minted({ aud: "billing-api" })),
  },
  {
    id: "issuer", name: "Wrong issuer", about: "from evil.demo.test",
    make: async () => bearer(await minted({ iss: "https://evil.demo.test" })),
  },
  {
    id: "scope", name: "Scope too small", about: "POST /orders with orders:read only",
    make: async () => ({ ...bearer(await minted({ scope: "orders:read" })), method: "POST" }),
  },
  {
    id: "kid", name: "Unknown key", about: "an invented kid; the gate looks once, then refuses",
    make: async () => bearer(await minted({}, { kid: `invented-${nowInSeconds()}` })),
  },
  {
    id: "two", name: "Two tokens", about: "the good one, and a bad one in the query",
    make: () => ({ ...bearer(token.raw), path: `/orders?access_token=${token.parts[0]}.${token.parts[1]}.AAAA` }),
  },
  { id: "garbage", name: "No JWT at all", about: "Bearer hello", free: true, make: () => bearer("hello") },
];

/** A browser opens six connections; requests that wait for keys must leave some for the buttons. */
const slots = { free: 2, waiting: [] };
async function inSlot(work) {
  if (slots.free === 0) await new Promise((resume) => slots.waiting.push(resume));
  else slots.free -= 1;
  try {
    return await work();
  } finally {
    const next = slots.waiting.shift();
    if (next) next();
    else slots.free += 1;
  }
}

const kindOf = (status) => (status >= 200 && status < 300 ? "pass" : status === 401 || status === 403 ? "refuse" : "fault");

/** Sends one request through the gate, and tells what came of it. */
async function send({ path = "/orders", method = "GET", headers = {} }) {
  const begin = performance.now();
  try {
    const response = await fetch(path, {
      method, headers: { accept: "application/json", ...headers }, cache: "no-store", credentials: "omit",
    });
    const text = await response.text();
    const took = performance.now() - begin;
    let body = null;
    try { body = JSON.parse(text); } catch { /* shown as text */ }
    const challenge = response.headers.get("www-authenticate");
    return { status: response.status, kind: kindOf(response.status), body, text, challenge, took };
  } catch (error) {
    return { status: 0, kind: "fault", body: null, text: String(error), challenge: null, took: performance.now() - begin };
  }
}

/** The text, which may be broken behind its underscores. */
const breakable = (text) => text.split(/(?<=_)/).flatMap((part) => [part, make("wbr")]);

const milliseconds = (took) => (took < 10 ? `${took.toFixed(1)} ms` : took < 10000 ? `${Math.round(took)} ms` : `${(took / 1000).toFixed(1)} s`);

/** Tokens are cut short: the whole one stands above. */
const withoutTokens = (text) => text.replace(/eyJ[\w-]*\.[\w-]+\.[\w-]*/g, "eyJ…");

async function perform(call) {
  const button = byId(`call-${call.id}`);
  const last = button.querySelector(".last");
  button.disabled = true;
  button.dataset.busy = "1";
  last.textContent = "waiting…";
  let request;
  let answer;
  try {
    request = await call.make();
    answer = await inSlot(() => send(request));
  } catch (error) {
    answer = { status: 0, kind: "fault", body: null, text: String(error.message ?? error), challenge: null, took: 0 };
  }
  button.disabled = false;
  delete button.dataset.busy;
  button.classList.remove("pass", "refuse", "fault");
  button.classList.add(answer.kind);
  last.replaceChildren(...breakable(answer.status === 0 ? "no answer" : `${answer.status} ${answer.body?.reason ?? ""}`.trim()));
  decided(call, request ?? {}, answer);
  refreshSoon();
}

// ---------------------------------------------------------------- decisions

const MOST_DECISIONS = 60;

function listed(entry) {
  byId("nothing").hidden = true;
  const list = byId("decisions");
  list.prepend(entry);
  while (list.children.length > MOST_DECISIONS) list.lastChild.remove();
}

function block(title, lines) {
  return make("div", {}, make("h4", { textContent: title }), make("div", { className: "lines mono", textContent: lines.join("\n") }));
}

function decided(call, request, answer) {
  byId("decision-head").hidden = false;
  const refused = answer.kind !== "pass";
  const reason = refused ? answer.body?.reason ?? "no answer" : "passed";
  const message = refused ? answer.body?.message ?? answer.text : seenBy(answer.body);
  const { path = "/orders", method = "GET", headers = {} } = request;
  const sent = [`${method} ${path}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  const received = [`${answer.status}`];
  if (answer.challenge) received.push(`www-authenticate: ${answer.challenge}`);
  if (refused) received.push(answer.text);
  const more = make("div", { className: "told-more" }, block("Sent", sent.map(withoutTokens)), block("Came back", received));
  if (!refused && answer.body?.headers) {
    const interesting = answer.body.headers.filter(([name]) => name === "authorization" || name.startsWith("x-jwt-"));
    const cut = (value) => (value.length > 80 ? `${value.slice(0, 3)}… (${value.length} letters)` : value);
    const seen = [`${answer.body.method} ${answer.body.path}`, ...interesting.map(([name, value]) => `${name}: ${cut(value)}`)];
    more.append(block("What the service behind the gate saw", seen));
  }
  const entry = make("li", {}, make("details", {},
    make("summary", {},
      make("span", { className: `pill ${answer.kind}`, textContent: answer.status || "none" }),
      make("span", { className: "call", textContent: call.name }),
      make("span", { className: "why" }, make("code", { textContent: reason }), make("span", { textContent: message })),
      make("span", { className: "took", textContent: milliseconds(answer.took) })),
    more));
  entry.dataset.call = call.id;
  entry.dataset.status = answer.status;
  entry.dataset.reason = reason;
  listed(entry);
  byId("spoken").textContent = `${call.name}: ${answer.status || "no answer"}, ${reason}, ${milliseconds(answer.took)}`;
}

/** In one line, what became of the claims. */
function seenBy(body) {
  const header = (name) => body?.headers?.find(([given]) => given === name)?.[1];
  const sub = header("x-jwt-sub");
  return sub ? `the service sees x-jwt-sub: ${sub}` : "the service answered";
}

function happened(text) {
  listed(make("li", { className: "event", textContent: text }));
  byId("spoken").textContent = text;
}

// ---------------------------------------------------------------- the token, shown

function pairs(list, values, told) {
  list.replaceChildren();
  for (const [name, value] of Object.entries(values)) {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    const more = told(name, value);
    const shown = make("dd", { textContent: text });
    if (more) shown.append(make("span", { className: "told", textContent: ` (${more})` }));
    list.append(make("dt", { textContent: name }), shown);
  }
}

function showToken() {
  byId("no-token").hidden = true;
  byId("token").hidden = false;
  const [header, claims, signature] = token.parts;
  byId("raw").replaceChildren(
    make("span", { className: "is-header", textContent: header }), ".",
    make("span", { className: "is-claims", textContent: claims }), ".",
    make("span", { className: "is-signature", textContent: signature }));
  pairs(byId("header-part"), token.header, () => "");
  pairs(byId("claims-part"), token.claims, (name, value) =>
    ["iat", "nbf", "exp"].includes(name) ? new Date(value * 1000).toLocaleTimeString() : "");
  byId("calls-hint").textContent = "Each button sends one request to Envoy, as its text says.";
  for (const button of document.querySelectorAll(".calls button")) button.disabled = "impossible" in button.dataset || "busy" in button.dataset;
  byId("send-all").disabled = false;
  byId("load").disabled = false;
  showTimeLeft();
}

function showTimeLeft() {
  if (!token) return;
  const { iat, exp } = token.claims;
  const left = Math.max(0, exp - Date.now() / 1000);
  const minutes = Math.floor(left / 60);
  byId("time-left").textContent = left > 0 ? `${minutes}:${String(Math.floor(left % 60)).padStart(2, "0")} left` : "expired";
  byId("time-bar").style.width = `${Math.min(100, (left / (exp - iat)) * 100)}%`;
}

async function signIn(event) {
  event.preventDefault();
  const error = byId("sign-in-error");
  error.hidden = true;
  try {
    const response = await fetch("/login", { method: "POST", body: new URLSearchParams(new FormData(event.target)) });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      const wrong = answer.error === "invalid_grant";
      throw new Error(wrong ? "The issuer knows no such user with this password." : `The issuer answers ${response.status}.`);
    }
    token = parsed(answer.access_token);
    showToken();
    happened(`${token.claims.sub} signed in; the token is signed with key ${short(token.header.kid)}`);
    refreshSoon();
  } catch (problem) {
    error.textContent = problem.message;
    error.hidden = false;
  }
}

// ---------------------------------------------------------------- traffic

const load = { on: false, flying: 0, from: 0, took: [], pass: 0, refuse: 0, fault: 0 };
/** Per second: calls by kind, whether keys are offline, whether a key was made. */
const seconds = new Map();
const SHOWN_SECONDS = 60;
const CALLS_A_SECOND = 20;
const MOST_FLYING = 3;
let keysAreOffline = false;

function second() {
  const now = nowInSeconds();
  if (!seconds.has(now)) {
    seconds.set(now, { pass: 0, refuse: 0, fault: 0, offline: keysAreOffline, rotated: false });
    for (const old of seconds.keys()) if (old < now - SHOWN_SECONDS - 1) seconds.delete(old);
  }
  return seconds.get(now);
}

async function fire() {
  load.flying += 1;
  const answer = await send(bearer(token.raw));
  load.flying -= 1;
  second()[answer.kind] += 1;
  load[answer.kind] += 1;
  load.took.push(answer.took);
  if (load.took.length > 400) load.took.shift();
}

function tick() {
  if (!load.on) return;
  if (load.flying < MOST_FLYING) fire();
  setTimeout(tick, 1000 / CALLS_A_SECOND);
}

/** Before the token is over, there is a new one. */
async function renew() {
  token = parsed(await minted({}));
  showToken();
}

function toggleLoad() {
  load.on = !load.on;
  byId("load").setAttribute("aria-pressed", String(load.on));
  byId("load").textContent = load.on ? "Stop calling" : "Keep calling";
  if (load.on) {
    Object.assign(load, { took: [], pass: 0, refuse: 0, fault: 0 });
    tick();
  }
}

function showTraffic() {
  const current = second();
  current.offline = keysAreOffline;
  const svg = byId("timeline");
  const now = nowInSeconds();
  const all = [...seconds.values()];
  const highest = Math.max(10, ...all.map(({ pass, refuse, fault }) => pass + refuse + fault));
  const shapes = [];
  for (const [at, { pass, refuse, fault, offline, rotated }] of seconds) {
    const x = (SHOWN_SECONDS - 1 - (now - at)) * 10;
    if (x < 0) continue;
    if (offline) shapes.push(drawn("rect", { class: "away", x, y: 0, width: 10, height: 120 }));
    let top = 120;
    for (const [kind, count] of [["pass", pass], ["refuse", refuse], ["fault", fault]]) {
      const height = (count / highest) * 104;
      top -= height;
      if (count) shapes.push(drawn("rect", { class: kind, x: x + 1, y: top, width: 8, height }));
    }
    if (rotated) shapes.push(drawn("line", { class: "mark", x1: x + 5, x2: x + 5, y1: 0, y2: 120 }));
  }
  svg.replaceChildren(...shapes);
  const sum = (kind) => all.reduce((total, one) => total + one[kind], 0);
  svg.setAttribute("aria-label", `Calls of the last minute: ${sum("pass")} passed, ${sum("refuse")} refused, ${sum("fault")} not decided`);
  const sorted = [...load.took].sort((one, other) => one - other);
  const at = (share) => milliseconds(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
  const total = load.pass + load.refuse + load.fault;
  byId("traffic-numbers").textContent = total === 0 ? "" :
    `${total} calls, ${load.refuse + load.fault} failed, ${load.flying} under way; half within ${at(0.5)}, 99 % within ${at(0.99)}`;
}

async function rotate() {
  byId("rotate").disabled = true;
  try {
    const { kid } = await answerOf("/demo/rotate");
    second().rotated = true;
    happened(`the issuer signs with a new key, ${short(kid)}`);
    if (token) await renew();
  } catch (error) {
    happened(`the issuer could not be asked for a new key: ${error.message}`);
  }
  byId("rotate").disabled = false;
  refreshSoon();
}

async function toggleOutage() {
  byId("outage").disabled = true;
  try {
    const { keys_offline: offline } = await answerOf("/demo/outage", { keys_offline: !keysAreOffline });
    showOutage(offline);
    happened(offline ? "the issuer answers 503 instead of its keys" : "the issuer publishes its keys again");
  } catch (error) {
    happened(`the issuer could not be asked: ${error.message}`);
  }
  byId("outage").disabled = false;
  refreshSoon();
}

function showOutage(offline) {
  keysAreOffline = offline;
  byId("outage").setAttribute("aria-pressed", String(offline));
  byId("outage").textContent = offline ? "Put the keys back online" : "Take the keys offline";
}

// ---------------------------------------------------------------- counters

function state(id, kind, text) {
  byId(id).className = `pill ${kind}`;
  byId(id).textContent = text;
}

/** The samples of a page in Prometheus' format: name, labels, value. */
function samples(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)) labels[name] = value;
    found.push({ name: match[1], labels, value: Number(match[3]) });
  }
  return found;
}

const FAULTS = ["keys_unavailable", "too_many_waiting", "revocation_unavailable", "replay_memory_full", "configuration_invalid", "host_failed"];

async function refreshCounters() {
  const response = await fetch("/stats/prometheus?usedonly&filter=wasmcustom", { cache: "no-store" });
  if (!response.ok) throw new Error(String(response.status));
  const all = samples(await response.text());
  const value = (name) => all.filter((one) => one.name === name).reduce((sum, one) => sum + one.value, 0);
  const hits = value("jwt_gate_jwt_cache_hit");
  const misses = value("jwt_gate_jwt_cache_miss");
  const age = all.find((one) => one.name === "jwt_gate_provider_jwks_age_seconds");
  const tiles = [
    ["passed", value("jwt_gate_allowed").toLocaleString()],
    ["refused", value("jwt_gate_denied").toLocaleString()],
    ["waiting for keys", value("jwt_gate_provider_waiting")],
    ["tokens known", hits + misses === 0 ? "–" : `${Math.floor((hits / (hits + misses)) * 100)} %`],
    ["fetches good / failed", `${value("jwt_gate_jwks_fetch_success")} / ${value("jwt_gate_jwks_fetch_failed")}`],
    ["age of the keys", age ? `${age.value} s` : "–"],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, shown]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: shown }))));
  const reasons = all.filter((one) => one.name === "jwt_gate_denied_for" && one.value > 0)
    .map((one) => [one.labels.jwt_gate_reason, one.value]).sort((one, other) => other[1] - one[1]);
  byId("no-reasons").hidden = reasons.length > 0;
  const most = Math.max(1, ...reasons.map(([, count]) => count));
  byId("reasons").replaceChildren(...reasons.map(([reason, count]) => {
    const bar = make("div", {});
    bar.style.width = `${Math.max(1, (count / most) * 100)}%`;
    return make("li", { className: FAULTS.includes(reason) ? "fault" : "" },
      make("code", { textContent: reason }), make("span", { className: "number", textContent: count.toLocaleString() }),
      make("div", { className: "bar", ariaHidden: "true" }, bar));
  }));
  byId("counters-age").textContent = new Date().toLocaleTimeString();
}

async function refreshIssuer() {
  const response = await fetch("/demo/stats", { cache: "no-store" });
  if (!response.ok) throw new Error(String(response.status));
  const { kids, jwks_fetches: fetches, keys_offline: offline } = await response.json();
  showOutage(offline);
  byId("fetches").textContent = fetches;
  byId("keys").replaceChildren(...kids.map((kid, index) => make("li", {},
    make("code", { textContent: kid }),
    make("span", { className: index === 0 ? "pill pass" : "pill", textContent: index === 0 ? "signs" : "still good" }),
    token?.header.kid === kid ? make("span", { className: "pill", textContent: "your token's" }) : "")));
}

/** Asks for everything that changes by itself; one at a time. */
let refreshing = false;
async function refresh() {
  if (refreshing || document.hidden) return;
  refreshing = true;
  try {
    await refreshIssuer();
    state("issuer-state", keysAreOffline ? "fault" : "pass", keysAreOffline ? "keys offline" : "answers");
  } catch {
    state("issuer-state", "fault", "does not answer");
  }
  try {
    await refreshCounters();
    state("gate-state", "pass", "running");
    byId("banner").hidden = true;
  } catch (error) {
    state("gate-state", "fault", "out of reach");
    byId("banner").textContent = error.message === "404"
      ? "This is the issuer's own address. Open the page at Envoy's (port 10001 unless the demo said another), or no call will reach the gate."
      : "Envoy does not answer: is the demo still running?";
    byId("banner").hidden = false;
  }
  refreshing = false;
}

/** The gate tells its counts a fifth of a second late. */
let soon;
function refreshSoon() {
  clearTimeout(soon);
  soon = setTimeout(refresh, 350);
}

// ---------------------------------------------------------------- start

function buttonFor(call) {
  const impossible = call.secure && !globalThis.crypto?.subtle;
  const button = make("button", { type: "button", id: `call-${call.id}`, disabled: !call.free || impossible },
    make("span", { textContent: call.name }),
    make("small", { textContent: impossible ? "needs a page at 127.0.0.1 or by https" : call.about }),
    make("span", { className: "last" }));
  if (impossible) button.dataset.impossible = "1";
  button.addEventListener("click", () => perform(call));
  return make("li", {}, button);
}

byId("good-calls").append(...GOOD.map(buttonFor));
byId("bad-calls").append(...BAD.map(buttonFor));
byId("send-all").disabled = true;
byId("load").disabled = true;
byId("send-all").addEventListener("click", async () => {
  byId("send-all").disabled = true;
  for (const call of [...GOOD, ...BAD]) if (!byId(`call-${call.id}`).disabled) await perform(call);
  byId("send-all").disabled = false;
});
byId("sign-in").addEventListener("submit", signIn);
byId("sign-in").username.addEventListener("change", (event) => {
  byId("sign-in").password.value = event.target.value === "bob" ? "builder" : "wonderland";
});
byId("clear").addEventListener("click", () => {
  byId("decisions").replaceChildren();
  byId("decision-head").hidden = true;
  byId("nothing").hidden = false;
});
byId("load").addEventListener("click", toggleLoad);
byId("rotate").addEventListener("click", rotate);
byId("outage").addEventListener("click", toggleOutage);
document.addEventListener("visibilitychange", refresh);
setInterval(() => { showTimeLeft(); showTraffic(); }, 500);
setInterval(refresh, 2000);
setInterval(() => {
  if (load.on && token && token.claims.exp - nowInSeconds() < 30) renew().catch(() => undefined);
}, 5000);
showTraffic();
refresh();
