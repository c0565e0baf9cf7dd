//! The page in a browser: what people press, and what they see then.

use std::path::Path;

use jwt_gate_demo::browser::{self, Browser};
use jwt_gate_demo::envoy::PINNED;
use serde_json::{Value, json};

use super::bed::Demo;
use super::skipped;

/// Each call of the page, with the status and the reason that it must bring.
const CALLS: [(&str, u16, &str); 19] = [
    ("good", 200, "passed"),
    ("write", 200, "passed"),
    ("spoof", 200, "passed"),
    ("query", 200, "passed"),
    ("missing", 401, "token_missing"),
    ("changed", 401, "signature_invalid"),
    ("signature", 401, "signature_invalid"),
    ("none", 401, "algorithm_unknown"),
    ("confusion", 401, "key_unknown"),
    ("stranger", 401, "signature_invalid"),
    ("own-key", 401, "signature_invalid"),
    ("expired", 401, "expired"),
    ("early", 401, "not_yet_valid"),
    ("audience", 403, "audience_not_allowed"),
    ("issuer", 401, "issuer_unknown"),
    ("scope", 403, "insufficient_scope"),
    ("kid", 401, "key_unknown"),
    ("two", 401, "signature_invalid"),
    ("garbage", 401, "token_malformed"),
];

/// The page, driven; every step panics with what went wrong.
struct Page(Browser);

impl Page {
    #[track_caller]
    fn get(&mut self, expression: &str) -> Value {
        self.0.evaluate(expression).unwrap()
    }

    #[track_caller]
    fn until(&mut self, expression: &str) {
        self.0.until(expression).unwrap();
    }

    #[track_caller]
    fn click(&mut self, selector: &str) {
        self.0.click(selector).unwrap();
    }

    /// The text of an element, as it is seen.
    #[track_caller]
    fn text(&mut self, selector: &str) -> String {
        let text = self.get(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().unwrap().to_owned()
    }

    /// The latest decision about this call: its status and reason.
    #[track_caller]
    fn decision(&mut self, call: &str) -> (u64, String) {
        let selector = json!(format!("#decisions [data-call={call}]"));
        let found = self.get(&format!("(({{ status, reason }}) => [Number(status), reason])(document.querySelector({selector}).dataset)"));
        (found[0].as_u64().unwrap(), found[1].as_str().unwrap().to_owned())
    }

    #[track_caller]
    fn send(&mut self, call: &str) -> (u64, String) {
        let count = format!("document.querySelectorAll('#decisions [data-call={call}]').length");
        let before = self.get(&count).as_u64().unwrap();
        self.click(&format!("#call-{call}"));
        self.until(&format!("{count} === {}", before + 1));
        self.decision(call)
    }

    #[track_caller]
    fn sign_in(&mut self, user: &str, password: &str) {
        self.get(&format!(
            "(() => {{ const form = document.getElementById('sign-in');
                form.username.value = {}; form.username.dispatchEvent(new Event('change'));
                form.password.value = {}; }})()",
            json!(user),
            json!(password)
        ));
        self.click("#sign-in button");
    }
}

/// Everything that can be pressed, and what the browser thinks of the page.
#[test]
fn the_page_works_in_a_browser() {
    let Some(chromium) = browser::find() else {
        return skipped(
            "the_page_works_in_a_browser",
            "no Chromium on PATH or in the variable CHROMIUM (Debian: apt install chromium)",
        );
    };
    let demo = Demo::start(PINNED);
    let mut page = Page(Browser::start(&chromium).unwrap());
    page.0.resize(1280, 900, false).unwrap();
    page.0.open(&format!("http://127.0.0.1:{}/", demo.ports.page)).unwrap();
    page.until("document.getElementById('gate-state').textContent === 'running'");
    page.until("document.getElementById('issuer-state').textContent === 'answers'");

    // Without a token: what needs none can be sent, and is refused.
    assert_eq!(page.get("document.getElementById('call-good').disabled"), true);
    assert_eq!(page.send("missing"), (401, "token_missing".to_owned()));
    page.sign_in("alice", "rabbit hole");
    page.until("!document.getElementById('sign-in-error').hidden");
    assert!(page.text("#sign-in-error").contains("no such user"), "wrong password");

    page.sign_in("alice", "wonderland");
    page.until("!document.getElementById('token').hidden");
    let kid = demo.issuer.signing_key().kid().to_owned();
    assert!(page.text("#header-part").contains(&kid));
    let claims = page.text("#claims-part");
    for word in ["https://issuer.demo.test", "orders-api", "orders:read orders:write", "alice"] {
        assert!(claims.contains(word), "{claims}");
    }
    assert!(page.text("#time-left").starts_with("14:") || page.text("#time-left") == "15:00 left");

    page.click("#send-all");
    let all = CALLS.len() + 1;
    page.until(&format!("document.querySelectorAll('#decisions details').length === {all}"));
    for (call, status, reason) in CALLS {
        assert_eq!(page.decision(call), (u64::from(status), reason.to_owned()), "{call}");
    }
    assert_eq!(page.get("document.querySelectorAll('.calls button').length"), CALLS.len());

    // What was sent, what came back, and what the service saw.
    page.click("#decisions [data-call=spoof] summary");
    let told = page.text("#decisions [data-call=spoof] details");
    assert!(told.contains("x-jwt-sub: admin") && told.contains("x-jwt-sub: alice"), "{told}");
    assert!(!told.contains("authorization: Bearer eyJh"), "{told}");
    page.click("#decisions [data-call=query] summary");
    let told = page.text("#decisions [data-call=query] details");
    assert!(told.contains("GET /orders?page=2\n"), "{told}");
    page.click("#decisions [data-call=scope] summary");
    let told = page.text("#decisions [data-call=scope] details");
    assert!(told.contains("scope=\"orders:write\""), "{told}");

    // Bob may read, and not write; by the keyboard alone.
    page.sign_in("bob", "");
    page.get("document.querySelector('#sign-in input').focus()");
    page.get("document.querySelector('#sign-in input').value = 'builder'");
    page.0.press("Enter").unwrap();
    page.until("document.getElementById('claims-part').innerText.includes('bob')");
    assert_eq!(page.send("good").0, 200);
    page.get("document.getElementById('call-good').focus()");
    page.0.press("Tab").unwrap();
    assert_eq!(page.get("document.activeElement.id"), "call-write");
    page.0.press("Enter").unwrap();
    page.until("document.querySelector('#decisions [data-call=write]').dataset.status === '403'");

    // The counters come from Envoy. Passed: five calls, and three requests to sign in.
    page.until("document.getElementById('reasons').innerText.includes('algorithm_unknown')");
    page.until("document.querySelector('#tiles dd').innerText === '8'");

    keys_change(&demo, &mut page);
    looks(&mut page, Path::new(&std::env::var("JWT_GATE_PICTURES").unwrap_or_default()));

    // Envoy goes: the page says so.
    let Demo { envoy, .. } = &demo;
    envoy.admin_post("/quitquitquit").unwrap();
    page.until("!document.getElementById('banner').hidden");
    assert!(page.text("#banner").contains("Envoy does not answer"));
    let complaints = page.0.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// New keys and an outage under load.
fn keys_change(demo: &Demo, page: &mut Page) {
    let before = demo.issuer.signing_key().kid().to_owned();
    page.click("#load");
    page.until("load.pass > 20");
    page.click("#rotate");
    page.until(&format!("token.header.kid !== {}", json!(before)));
    let from = page.get("load.pass").as_u64().unwrap();
    page.until(&format!("load.pass > {}", from + 20));
    assert_eq!(page.get("load.refuse + load.fault"), 0);
    let kids = demo.issuer.kids();
    page.until(&format!("document.querySelectorAll('#keys li').length === {}", kids.len()));

    // Keys that are held go on; a new key cannot be had, which is not the client's fault.
    page.click("#outage");
    page.until("document.getElementById('issuer-state').textContent === 'keys offline'");
    let from = page.get("load.pass").as_u64().unwrap();
    page.until(&format!("load.pass > {}", from + 20));
    page.click("#rotate");
    page.until("load.fault > 0");
    assert_eq!(page.get("load.refuse"), 0);
    assert_eq!(page.send("good"), (503, "keys_unavailable".to_owned()));
    page.click("#outage");
    page.until("document.getElementById('issuer-state').textContent === 'answers'");
    let from = page.get("load.pass").as_u64().unwrap();
    page.until(&format!("load.pass > {from}"));
    assert_eq!(page.send("good"), (200, "passed".to_owned()));
    page.click("#load");
    let label = page.get("document.getElementById('timeline').getAttribute('aria-label')");
    assert!(label.as_str().unwrap().starts_with("Calls of the last minute: "), "{label}");
    assert!(page.get("document.querySelectorAll('#timeline .fault').length").as_u64().unwrap() > 0);
}

/// Whatever of the page's text cannot be read well: WCAG 2.2 AA asks for a contrast of 4.5.
const PALE: &str = r#"(() => {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const channel = (one) => (one /= 255) <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(one).backgroundColor);
      if (a > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled")) continue;
    seen += 1;
    const [one, other] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) found.push(`${element.tagName} "${element.textContent}" ${contrast.toFixed(2)}`);
  }
  return { seen, found };
})()"#;

/// What is wider than it may be, or too small for a finger (WCAG 2.2: 24 by 24).
const MISFITS: &str = r#"(() => {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is wider than the window");
  for (const element of document.querySelectorAll("button, input, select, summary")) {
    const { width, height, right } = element.getBoundingClientRect();
    if (element.checkVisibility() && (width < 24 || height < 24 || right > innerWidth)) {
      found.push(`${element.tagName} "${element.textContent}" ${width} by ${height}`);
    }
  }
  for (const element of document.querySelectorAll(".calls button, .tiles div, .pill")) {
    if (element.scrollWidth > element.clientWidth + 1) found.push(`"${element.textContent}" is cut off`);
  }
  return found;
})()"#;

/// At the widths of a desk and of a phone, light and dark. With a folder, writes pictures there.
fn looks(page: &mut Page, pictures: &Path) {
    for (width, height, name) in [(1280, 900, "desktop"), (390, 844, "phone")] {
        for dark in [false, true] {
            page.0.resize(width, height, dark).unwrap();
            let name = format!("{name}-{}", if dark { "dark" } else { "light" });
            let pale = page.get(PALE);
            assert!(pale["seen"].as_u64().unwrap() > 100, "{name}: {pale}");
            assert_eq!(pale["found"], json!([]), "{name}");
            assert_eq!(page.get(MISFITS), json!([]), "{name}");
            if !pictures.as_os_str().is_empty() {
                page.0.picture(&pictures.join(format!("{name}.png")), true).unwrap();
            }
        }
    }
    // Everything that takes the focus has a name for those who do not see it.
    let tree = page.0.call("Accessibility.getFullAXTree", json!({})).unwrap();
    let property = |node: &Value, name: &str| {
        let all = node["properties"].as_array().into_iter().flatten();
        all.into_iter().any(|one| one["name"] == name && one["value"]["value"] == true)
    };
    let nodes = tree["nodes"].as_array().unwrap();
    let focusable: Vec<_> = nodes
        .iter()
        .filter(|node| property(node, "focusable") && node["role"]["value"] != "RootWebArea")
        .collect();
    assert!(focusable.len() > 30, "{}", focusable.len());
    for node in focusable {
        let name = node["name"]["value"].as_str().unwrap_or_default();
        assert!(!name.trim().is_empty(), "without a name: {node}");
    }
    page.0.resize(1280, 900, false).unwrap();
}
