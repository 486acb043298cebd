//! A Rust source as far as the layer law is concerned: its strings, and the paths it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

#[derive(Clone)]
pub struct Source {
    /// Below the root of the product.
    pub file: String,
    pub lines: usize,
    /// The string literals, as written; comments and documentation are none.
    pub strings: Vec<String>,
    /// All other tokens; a path is one.
    code: Vec<String>,
}

/// All Rust sources below a folder; one that is not there is empty.
pub fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(root).unwrap().to_str().unwrap();
                found.push(Source::read(file, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

impl Source {
    fn read(file: &str, text: &str) -> Self {
        let mut source =
            Self { file: file.into(), lines: text.lines().count(), strings: Vec::new(), code: Vec::new() };
        source.walk(text.parse().unwrap_or_else(|error| panic!("{file}: {error}")));
        source
    }

    fn walk(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter();
        while let Some(token) = tokens.next() {
            match token {
                // Documentation reaches us as `#[doc = "…"]`.
                TokenTree::Group(group) if group.stream().to_string().starts_with("doc =") => {}
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    self.push(open);
                    self.walk(group.stream());
                    self.push(close);
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    if let Some(start) = text.find('"').filter(|_| text.ends_with(['"', '#'])) {
                        self.strings.push(text[start + 1..].replace("\\n", "\n"));
                    }
                    self.push("literal");
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' && colon.spacing() == Spacing::Joint => {
                    tokens.next();
                    self.push("::");
                }
                other => self.push(&other.to_string()),
            }
        }
    }

    fn push(&mut self, token: &str) {
        let named = |last: &str| last != "use" && last.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match self.code.last_mut() {
            Some(last) if last.ends_with("::") || (token == "::" && named(last)) => *last += token,
            _ => self.code.push(token.to_owned()),
        }
    }

    /// The service's top-level modules that this source names, in `use` or in code.
    pub fn modules_of_ours(&self) -> BTreeSet<String> {
        let mut paths: Vec<String> = self.code.iter().filter(|token| token.contains("::")).cloned().collect();
        for (at, _) in self.code.iter().enumerate().filter(|(_, token)| *token == "use") {
            let tree = self.code[at + 1..].split(|token| token == ";").next().unwrap_or_default();
            spread("", &tree.join(" ").replace(" as ", "::as::").replace(' ', ""), &mut paths);
        }
        paths.iter().filter_map(|path| self.module(path)).collect()
    }

    /// The first module of a path that starts at the root of the crate, by whatever way.
    fn module(&self, path: &str) -> Option<String> {
        let mut parts = path.split("::").skip_while(|part| part.is_empty());
        match parts.next()? {
            "crate" | "flow_manager" => parts.next(),
            "super" => {
                let rest = parts.clone().skip_while(|part| *part == "super");
                let up = 1 + parts.count() - rest.clone().count();
                rest.clone().next().filter(|_| up >= self.depth())
            }
            _ => None,
        }
        .map(str::to_owned)
    }

    /// How many `super` lead from this file to the root of the crate.
    fn depth(&self) -> usize {
        let below = self.file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        below.split('/').count()
    }
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn spread(before: &str, tree: &str, found: &mut Vec<String>) {
    let (Some(open), Some(close)) = (tree.find('{'), tree.rfind('}')) else {
        return found.push(format!("{before}{tree}"));
    };
    let (before, inner) = (format!("{before}{}", &tree[..open]), &tree[open + 1..close]);
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                spread(&before, &inner[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn every_way_to_name_a_module_is_seen() {
    for (file, text) in [
        ("src/driver/http.rs", "use crate::driven::memory;"),
        ("src/driver/http.rs", "pub(crate) use crate::{config::{A, B}, driven::{self, memory}};"),
        ("src/driver/http.rs", "use {crate::driven as other};"),
        ("src/driver/http.rs", "fn f() { let x = crate::driven::memory::new(); }"),
        ("src/driver/http.rs", "fn f(x: &crate :: driven::Memory) {}"),
        ("src/driver/http.rs", "fn f() { vec![crate::driven::X]; }"),
        ("src/driver/http.rs", "use flow_manager::driven;"),
        ("src/driver/http.rs", "use ::flow_manager::driven;"),
        ("src/driver/http.rs", "use super::super::driven;"),
        ("src/driver/mod.rs", "use super::driven;"),
    ] {
        assert!(Source::read(file, text).modules_of_ours().contains("driven"), "{text}");
    }
    for text in [
        "//! Never crate::driven.\n/// crate::driven\nfn f() {}",
        "const TEXT: &str = \"use crate::driven;\";",
        "use super::driven;",
        "use crate::driver::driven;",
        "use other::driven;",
    ] {
        assert!(!Source::read("src/driver/http.rs", text).modules_of_ours().contains("driven"), "{text}");
    }
}
