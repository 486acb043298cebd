use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn intro(markdown: &str) -> String {
    Tutorial::read(markdown).render(&json!({})).intro
}

#[test]
fn each_heading_of_the_second_level_is_a_step() {
    let markdown = "# T\n\nhello\n\n## Find `it`\n\n1. a\n2. b\n\n### more\n\n```\n## not this\n```\n\n> ## nor this\n\n## Second\n\nend";
    let tutorial = Tutorial::read(markdown);
    let rendered = tutorial.render(&json!({}));
    assert_eq!(tutorial.steps(), 2);
    assert_eq!(rendered.intro, "<h1>T</h1>\n<p>hello</p>\n");
    assert_eq!(rendered.steps[0].title, "Find it");
    assert!(rendered.steps[0].html.contains("## not this"), "{}", rendered.steps[0].html);
    assert_eq!(rendered.steps[1], RenderedStep { title: "Second".into(), html: "<p>end</p>\n".into() });
}

#[test]
fn outputs_are_filled_in_as_text_and_never_as_markup() {
    let markdown = "see {{outputs.url}} and `curl {{outputs.url}}` or [open]({{outputs.url}}), {{outputs.a_b_c}} {{outputs.n}} {{outputs.}}";
    let tutorial = Tutorial::read(markdown);
    assert_eq!(tutorial.outputs(), BTreeSet::from(["url", "a_b_c", "n"].map(str::to_owned)));
    let html = tutorial.render(&json!({"url": "http://x/?a=1&b=<b>", "n": 7})).intro;
    assert!(html.contains("see http://x/?a=1&amp;b=&lt;b&gt; and"), "{html}");
    assert!(html.contains("<code>curl http://x/?a=1&amp;b=&lt;b&gt;</code>"), "{html}");
    assert!(html.contains("&lt;a_b_c&gt; 7 {{outputs.}}"), "{html}");
    let evil = json!({"url": "javascript:alert(1)", "n": "**x** <script>alert(1)</script>"});
    let html = tutorial.render(&evil).intro;
    assert!(!html.contains("<script") && !html.contains("href") && html.contains("**x**"), "{html}");
}

#[test]
fn what_could_run_or_call_elsewhere_is_gone() {
    for evil in [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](java\tscript:alert(1))",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "![x](http://elsewhere/pixel.png)",
        "<iframe src=//x></iframe>",
        "<svg/onload=alert(1)>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<style>@import '//x'</style>",
        "```x\" onmouseover=\"alert(1)\n```",
        "<!-- --><form action=//x><input>",
    ] {
        let html = intro(evil).to_lowercase();
        for tag in [
            "<script",
            "<img",
            "<iframe",
            "<svg",
            "<style",
            "<form",
            "<input",
            "<a href=\"javascript",
            "<a href=\"data",
            "<a href=\"vb",
        ] {
            assert!(!html.contains(tag), "{evil}: {html}");
        }
        for quoted in html.split('<').filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag) {
            assert!(
                !quoted.contains("onerror") && !quoted.contains("onload") && !quoted.contains("onmouse"),
                "{evil}: {html}"
            );
        }
    }
    let html = intro("[x](https://example.org) <mailto:a@example.org>");
    assert!(html.contains("href=\"https://example.org\"") && html.contains("noopener"), "{html}");
}

/// Without bounds any of these takes minutes. The limit is generous: a debug build on a busy machine.
#[test]
fn a_megabyte_of_nesting_is_only_long() {
    let megabyte = 1 << 20;
    for (piece, end) in [
        (">", "x"),
        ("- ", "x"),
        ("[", "](x)"),
        ("*a ", ""),
        ("<b>", "x"),
        ("![", ""),
        ("`", ""),
        ("_", "x"),
        ("| ", "\n|-|\n"),
        ("1. ", "x"),
    ] {
        let start = Instant::now();
        let text = piece.repeat(megabyte / piece.len()) + end;
        let html = intro(&text);
        assert!(html.len() < 16 * megabyte, "{piece}: {}", html.len());
        assert!(start.elapsed() < Duration::from_secs(60), "{piece}: {:?}", start.elapsed());
    }
    let steps = "\n## s\n".repeat(megabyte / 6);
    assert_eq!(Tutorial::read(&steps).render(&json!({})).steps.len(), megabyte / 6);
}
