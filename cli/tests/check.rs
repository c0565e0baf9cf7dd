//! `check` on files.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod command;

use command::{data, json, run, run_with};

/// Kinds of warnings with their lines.
#[track_caller]
fn warnings(file: &str) -> Vec<(String, u64)> {
    let (code, answer) = json(&["check", file]);
    assert_eq!(code, 0, "{answer}");
    let list =
        answer["configurations"][0]["warnings"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let one = |warning: &serde_json::Value| {
        (
            warning["code"].as_str().unwrap_or_default().to_owned(),
            warning["line"].as_u64().unwrap_or(0),
        )
    };
    list.iter().map(one).collect()
}

#[test]
fn good_files_are_reported_in_plain_words() {
    for (file, protected, open) in [
        (
            "envoy-good.yaml",
            "rules[1] (prefix \"/\"): a good token of `demo`",
            "rules[0] (path \"/login\"): nothing is required",
        ),
        (
            "wasm-plugin.yaml",
            "rules[0] (prefix \"/\"): a good token of `main`",
            "what no rule matches: nothing is required",
        ),
    ] {
        let said = run(&["check", file]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        for text in
            [protected, open, "Protected", "Open", "Providers", "Different from Envoy's jwt_authn"]
        {
            assert!(said.out.contains(text), "{text}: {}", said.out);
        }
        assert!(!said.out.contains('\u{1b}'), "colours where no terminal is");
        assert_eq!(run(&["check", "--strict", file]).code, 1);
    }
}

#[test]
fn every_mistake_has_its_line() {
    let (code, answer) = json(&["check", "mistakes.yaml"]);
    assert_eq!(code, 1);
    let errors =
        answer["configurations"][0]["errors"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let found: Vec<_> =
        errors.iter().map(|error| (error["path"].as_str(), error["line"].as_u64())).collect();
    assert_eq!(
        found,
        [
            (Some("providers.main.isuer"), Some(4)),
            (Some("providers.main.remote_jwks.http_uri.uri"), Some(8)),
            (Some("rules[0].requires"), Some(14)),
        ]
    );
    let said = run(&["check", "mistakes.yaml"]);
    assert!(
        said.out.contains("mistakes.yaml:4:5: error: providers.main.isuer: unknown field"),
        "{}",
        said.out
    );
    assert!(said.out.ends_with("mistakes.yaml: 3 errors\n"), "{}", said.out);
}

#[test]
fn mistakes_in_texts_within_an_envoy_have_the_lines_of_the_file() {
    let good = std::fs::read_to_string(data().join("envoy-good.yaml")).unwrap_or_default();
    let line = |text: &str, needle: &str| {
        text.lines().position(|line| line.contains(needle)).unwrap_or(0) + 1
    };
    for (from, to, error) in [
        (
            "\"forward\": false",
            "\"forward\": 7",
            "providers.demo.forward: expected true or false, found a number",
        ),
        ("\"forward\": false,", "\"forward\": false,,", "not valid JSON"),
    ] {
        let bad = good.replace(from, to);
        let said = run_with(&["check", "-"], &bad);
        let place = format!("standard input:{}:", line(&bad, to));
        assert_eq!(said.code, 1);
        assert!(
            said.out.lines().any(|line| line.starts_with(&place) && line.contains(error)),
            "{}",
            said.out
        );
    }
}

#[test]
fn what_is_valid_and_seldom_meant_is_warned_of() {
    let codes = |file: &str| warnings(file);
    let found = codes("risky.json");
    for (code, line) in [
        ("no_audience", 3),
        ("no_issuer", 3),
        ("no_expiration", 3),
        ("weak_secret", 4),
        ("key_not_used", 4),
        ("long_clock_skew", 8),
        ("token_in_query", 9),
        ("no_audience", 11),
        ("keys_over_http", 14),
        ("long_stale_keys", 15),
        ("long_stale_keys", 16),
        ("revoked_tokens_pass", 22),
        ("no_catch_all", 23),
        ("optional_without_deny", 24),
        ("optional_without_deny", 28),
    ] {
        assert!(found.contains(&(code.to_owned(), line)), "{code}: {found:?}");
    }
    assert_eq!(found.iter().filter(|(code, _)| code == "weak_secret").count(), 2);
}

#[test]
fn what_stands_around_is_looked_at() {
    let found = warnings("envoy-bad.yaml");
    let expected = [
        ("paths_not_normalized", 9),
        ("fail_open", 25),
        ("cluster_missing", 59),
        ("cluster_without_tls", 59),
        ("cluster_without_ca", 64),
        ("cluster_without_name", 64),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(code, line)| ((*code).to_owned(), *line)).collect();
    assert_eq!(found, expected);
    let said = run(&["check", "envoy-bad.yaml"]);
    assert!(said.out.contains("passed over: the Wasm plugin `something-else`"), "{}", said.out);
    let found = warnings("istio-bad.yaml");
    let found: Vec<_> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(found, ["module_not_pinned", "no_phase", "fail_open", "cluster_without_name"]);
}

/// Listeners without a gate, of which the demo's Envoy has two, may treat paths as they like.
#[test]
fn only_listeners_with_a_gate_are_looked_at() {
    let text = include_str!("../../envoy.yaml");
    let codes = |name: &str, text: &str| {
        let file = std::env::temp_dir().join(format!("{}-{name}.yaml", std::process::id()));
        assert!(std::fs::write(&file, text).is_ok());
        let codes: Vec<_> =
            warnings(&file.to_string_lossy()).into_iter().map(|own| own.0).collect();
        assert!(std::fs::remove_file(&file).is_ok());
        codes.iter().filter(|code| *code == "paths_not_normalized").count()
    };
    assert!(text.matches(".HttpConnectionManager").count() > 1);
    assert_eq!(codes("as-it-ships", text), 0);
    assert_eq!(codes("changed", &text.replace("merge_slashes: true", "merge_slashes: false")), 1);
}

#[test]
fn other_files_are_told_apart() {
    let key_set = r#"{ "keys": [] }"#;
    let token = "eyJhbGciOiJub25lIn0.e30.x";
    let native = r#"{ "static_resources": { "a": { "@type": "t/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication" } } }"#;
    for (input, code, says) in [
        ("", 3, "is empty"),
        (" \n", 3, "is empty"),
        ("# only this\n", 3, "nothing in it but comments"),
        (key_set, 3, "`jwt-gate jwks`"),
        (token, 3, "a configuration is an object with `providers`"),
        (native, 3, "`jwt-gate import envoy`"),
        ("static_resources: {}", 3, "no filter envoy.filters.http.wasm"),
        ("kind: Deployment", 3, "holds a Deployment"),
        ("kind: WasmPlugin\nspec: {}", 3, "without a `pluginConfig`"),
        ("_format_version: '3.0'", 3, "`jwt-gate import kong`"),
        ("a\u{0}b", 3, "is not text"),
        ("{ \"providers\": {}, }", 1, "not valid JSON"),
        ("providers: [", 1, "not YAML"),
        ("providers: {}\nproviders: {}", 1, "`providers` stands here twice"),
        ("rules: []", 1, "`providers` is required"),
        ("providers: {}", 1, "at least one provider is required"),
    ] {
        let said = run_with(&["check", "-"], input);
        assert_eq!(said.code, code, "{input:?}: {said:?}");
        assert!(said.out.contains(says) || said.err.contains(says), "{input:?}: {said:?}");
        let told = run_with(&["check", "-", "--json"], input);
        assert_eq!((told.code, told.err.as_str()), (code, ""));
        assert!(serde_json::from_str::<serde_json::Value>(&told.out).is_ok(), "{told:?}");
    }
    for (file, says) in [
        ("nowhere.yaml", "there is no such file"),
        (".", "is a directory"),
        ("request-authentication.yaml", "`jwt-gate import istio`"),
    ] {
        let said = run(&["check", file]);
        assert_eq!(said.code, 3);
        assert!(said.err.contains(says), "{said:?}");
    }
    assert_eq!(run(&["check"]).code, 2);
    assert_eq!(run(&["chekc", "a"]).code, 2);
}

#[test]
fn lists_of_manifests_are_searched() {
    let manifest = std::fs::read_to_string(data().join("wasm-plugin.yaml")).unwrap_or_default();
    let indented: String = manifest.lines().map(|line| format!("    {line}\n")).collect();
    let list = format!("kind: List\nitems:\n  - kind: Service\n  -\n{indented}");
    let said = run_with(&["check", "-"], &list);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("WasmPlugin jwt-gate"));
    // Higress' name for the configuration.
    let said = run_with(&["check", "-"], &manifest.replace("pluginConfig:", "defaultConfig:"));
    assert_eq!(said.code, 0, "{said:?}");
}

fn deploy(name: &str) -> String {
    let path = data().join("../../../deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The manifests that people copy.
#[test]
fn manifests_of_the_project_are_good() {
    for (name, title) in [
        ("envoy/extensions.yaml", "the Wasm plugin `jwt-gate`"),
        ("envoy/static.yaml", "the Wasm plugin `jwt-gate`"),
        ("envoy-gateway/policy.yaml", "EnvoyExtensionPolicy jwt-gate, spec.wasm[0]"),
        ("higress/plugin.yaml", "WasmPlugin jwt-gate"),
        ("istio/gateway.yaml", "WasmPlugin jwt-gate"),
        ("istio/sidecar.yaml", "WasmPlugin jwt-gate"),
        ("istio/upgrade.yaml", "WasmPlugin jwt-gate-next"),
    ] {
        let said = run_with(&["check", "-"], &deploy(name));
        assert_eq!(said.code, 0, "{name}: {said:?}");
        assert!(said.out.contains(title), "{name}: {}", said.out);
        // Neither may be seldom meant: what is around is right.
        for code in
            ["fail_open", "module_not_pinned", "no_phase", "cluster_", "paths_not_normalized"]
        {
            assert!(!said.out.contains(&format!("[{code}")), "{name}: {}", said.out);
        }
    }
}

#[test]
fn policies_of_envoy_gateway() {
    let policy = deploy("envoy-gateway/policy.yaml");
    let both = format!("{policy}\n---\n{}", deploy("envoy-gateway/proxy.yaml"));
    for (from, to, code, says) in [
        ("", "", 0, "good, 2 warnings"),
        ("failOpen: false", "failOpen: true", 0, "[fail_open]"),
        ("        sha256:", "        # sha256:", 0, "[module_not_pinned]"),
        (
            "        name: issuer\n        type",
            "        name: other\n        type",
            0,
            "[cluster_missing]",
        ),
        ("trusted_ca:", "crl:", 0, "[cluster_without_ca]"),
        ("audiences:", "audience:", 1, "help: did you mean `audiences`?"),
        ("    config:\n", "    configuration:\n", 3, "spec.wasm[0], without a `config`"),
        ("  wasm:\n", "  lua:\n", 3, "without any `spec.wasm`"),
    ] {
        let changed = both.replacen(from, to, 1);
        assert!(from.is_empty() || changed != both, "{from}");
        let said = run_with(&["check", "-"], &changed);
        assert_eq!(said.code, code, "{to}: {said:?}");
        assert!(said.out.contains(says) || said.err.contains(says), "{to}: {said:?}");
    }
    // Beside others, of which it is told by its configuration or its name.
    let other = "  wasm:\n  - name: other\n    code: { type: HTTP, http: { url: \"https://a.example/b.wasm\" } }\n    config: { a: 1 }\n";
    let (code, answer) = {
        let said = run_with(&["check", "-", "--json"], &policy.replacen("  wasm:\n", other, 1));
        (said.code, serde_json::from_str::<serde_json::Value>(&said.out).unwrap_or_default())
    };
    assert_eq!(code, 0, "{answer}");
    let passed_over = &answer["passed_over"];
    assert_eq!(
        passed_over,
        &serde_json::json!(["EnvoyExtensionPolicy jwt-gate, spec.wasm[0], which is another one"])
    );
    let title = &answer["configurations"][0]["title"];
    assert_eq!(title, "EnvoyExtensionPolicy jwt-gate, spec.wasm[1]");
    // A mistake has its line in the manifest.
    let said = run_with(&["check", "-"], &policy.replace("timeout: 5s", "timeout: 5"));
    let line = policy.lines().position(|line| line.contains("timeout: 5s")).unwrap_or(0) + 1;
    assert!(said.out.contains(&format!("standard input:{line}:")), "{said:?}");
}

#[test]
fn rules_of_higress() {
    let plugin = deploy("higress/plugin.yaml");
    let rules = "  matchRules:\n  - domain: [a.example]\n    config: { providers: {} }\n";
    let with =
        |more: &str| plugin.replacen("  defaultConfig:\n", &format!("{more}  defaultConfig:\n"), 1);
    for (text, code, says) in [
        (with("  matchRules: []\n"), 0, "good"),
        (with(rules), 1, "as a member `_rules_` of the configuration, which the gate refuses"),
        (with("  defaultConfigDisable: false\n"), 0, "good"),
        (with("  defaultConfigDisable: true\n"), 1, "hands over no configuration at all"),
        (
            with(rules).replace("  defaultConfig:\n", "  other:\n"),
            3,
            "the gate takes its configuration there only",
        ),
    ] {
        let said = run_with(&["check", "-"], &text);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.out.contains(says) || said.err.contains(says), "{says}: {said:?}");
    }
}

/// Names as they are misspelt, and values of the wrong type.
#[test]
fn what_was_meant_is_told() {
    let config = |provider: &str, rest: &str| {
        format!(
            r#"{{"providers": {{"a": {{"local_jwks": {{"inline_string": "{{}}"}}{provider}}}}}{rest}}}"#
        )
    };
    for (text, help) in [
        (config(r#","isuer": "a""#, ""), "did you mean `issuer`?"),
        (config(r#","claimToHeader": []"#, ""), "did you mean `claim_to_headers`?"),
        (config(r#","from-params": "a""#, ""), "did you mean `from_params`?"),
        (config(r#","audiance": "a""#, ""), "did you mean `audiences`?"),
        (config("", r#","rule": []"#), "did you mean `rules`?"),
        (config("", r#","shadow": {"ruels": []}"#), "did you mean `rules`?"),
        (config("", r#","rules": [{"match": {"prefix": "/"}, "provider_name": "a"}]"#), ""),
        (config("", r#","rules": [{"match": {"perfix": "/"}}]"#), "did you mean `prefix`?"),
        (
            config(
                "",
                r#","rules": [{"match": {"prefix": "/"}, "requires": {"requires_any":
                {"requirements": [{"provider_nam": "a"}, {}]}}}]"#,
            ),
            "did you mean `provider_name`?",
        ),
        (
            config(r#","require_expiration": "yes""#, ""),
            "`require_expiration` takes true or false: Refuse tokens without `exp`. (docs/reference.md#jwtprovider)",
        ),
        (
            config(r#","max_age": 5"#, ""),
            "`max_age` takes a duration such as \"5s\", longer than 0s: Refuse tokens without `iat`,",
        ),
        (config("", r#","rules": [{}]"#), "`match` takes an object (RouteMatch): Which requests."),
        (config("", r#","mode": "off""#), "`mode` takes enforce or report_only: "),
        (config("", r#","zzzzzz": 1"#), ""),
    ] {
        let said = run_with(&["check", "-", "--json"], &text);
        let answer: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
        assert_eq!(said.code, 1, "{text}: {answer}");
        let errors = answer["configurations"][0]["errors"].as_array().cloned().unwrap_or_default();
        let told: Vec<_> = errors.iter().filter_map(|error| error["help"].as_str()).collect();
        match help {
            "" => assert!(told.is_empty(), "{text}: {told:?}"),
            help => assert!(told.iter().any(|told| told.starts_with(help)), "{text}: {told:?}"),
        }
    }
}

#[test]
fn the_program_describes_itself() {
    for shell in ["bash", "zsh", "fish"] {
        let said = run(&["completions", shell]);
        assert!(said.code == 0 && said.out.contains("check"), "{shell}");
    }
    let said = run(&["man"]);
    assert!(said.out.starts_with(".ie") || said.out.contains(".TH"), "{}", said.out);
    assert!(said.out.contains("Exit codes"), "{}", said.out);
}
