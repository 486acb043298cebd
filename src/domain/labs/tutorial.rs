//! A lab's words: Markdown with steps, made HTML that can do nothing but be read.
//!
//! Each heading of the second level outside of lists and quotes begins a step; what stands before the first one is the
//! introduction. `{{outputs.NAME}}` is replaced by that output of the session, as text, wherever it stands.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use ammonia::Builder;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeStream, html};
use serde_json::Value;

/// A tutorial is read at each look, and its HTML goes to each reader.
pub const MOST_BYTES: usize = 256 << 10;
/// Deeper lists and quotes are shown as if they were at this depth: what is nested without end takes its reader's time.
const DEEPEST: usize = 24;

const OPEN: &str = "{{outputs.";
const CLOSE: &str = "}}";

/// Words of a lab, read.
pub struct Tutorial<'a> {
    events: Vec<Event<'a>>,
    intro: Range<usize>,
    steps: Vec<Part>,
}

struct Part {
    title: String,
    /// What stands below its heading.
    body: Range<usize>,
}

/// As HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub intro: String,
    pub steps: Vec<RenderedStep>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedStep {
    pub title: String,
    pub html: String,
}

impl<'a> Tutorial<'a> {
    pub fn read(markdown: &'a str) -> Self {
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let events = flat(TextMergeStream::new(Parser::new_ext(markdown, options)));
        let mut starts = Vec::new();
        let mut depth = 0_usize;
        for (at, event) in events.iter().enumerate() {
            match event {
                Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) if depth == 0 => starts.push(at),
                _ => {}
            }
            match event {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        let ends = starts.iter().skip(1).copied().chain([events.len()]);
        let steps = starts.iter().zip(ends).map(|(start, end)| part(&events, *start, end)).collect();
        let intro = 0..starts.first().copied().unwrap_or(events.len());
        Self { events, intro, steps }
    }

    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Names of the outputs that it shows.
    pub fn outputs(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut note = |name: &str| {
            names.insert(name.to_owned());
            None
        };
        for event in &self.events {
            match event {
                Event::Text(text) | Event::Code(text) => drop(fill(text, &mut note)),
                Event::Start(Tag::Link { dest_url, .. }) => drop(fill(dest_url, &mut note)),
                _ => {}
            }
        }
        names
    }

    /// With these outputs filled in; of one that is not there its name is shown.
    pub fn render(&self, outputs: &Value) -> Rendered {
        let steps = self.steps.iter();
        Rendered {
            intro: self.html(self.intro.clone(), outputs),
            steps: steps
                .map(|part| RenderedStep {
                    title: part.title.clone(),
                    html: self.html(part.body.clone(), outputs),
                })
                .collect(),
        }
    }

    fn html(&self, part: Range<usize>, outputs: &Value) -> String {
        let value = |name: &str| {
            let value = outputs.get(name)?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let filled = self.events[part].iter().cloned().map(|event| match event {
            Event::Text(text) => Event::Text(fill(&text, &mut |name| value(name)).into()),
            Event::Code(text) => Event::Code(fill(&text, &mut |name| value(name)).into()),
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let dest_url = CowStr::from(fill(&dest_url, &mut |name| value(name)));
                Event::Start(Tag::Link { link_type, dest_url, title, id })
            }
            other => other,
        });
        let mut unclean = String::new();
        html::push_html(&mut unclean, filled);
        CLEANER.clean(&unclean).to_string()
    }
}

/// A second look at what the renderer made, by other people's code: no scripts, no styles, no links but to pages and
/// mail, no picture from elsewhere that would tell who reads this.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    cleaner.url_schemes(["http", "https", "mailto"].into()).rm_tags(["img", "map", "area"]);
    cleaner
});

/// With HTML as the text it is, and nothing deeper than [`DEEPEST`].
fn flat<'a>(events: impl Iterator<Item = Event<'a>>) -> Vec<Event<'a>> {
    let mut depth = 0_usize;
    let mut flat = Vec::new();
    for event in events {
        match event {
            Event::Start(tag) => {
                depth += 1;
                // An HTML block is its text.
                if depth <= DEEPEST && !matches!(tag, Tag::HtmlBlock) {
                    flat.push(Event::Start(tag));
                }
            }
            Event::End(end) => {
                if depth <= DEEPEST && end != TagEnd::HtmlBlock {
                    flat.push(Event::End(end));
                }
                depth = depth.saturating_sub(1);
            }
            Event::Html(text) | Event::InlineHtml(text) => flat.push(Event::Text(text)),
            other => flat.push(other),
        }
    }
    flat
}

fn part(events: &[Event], start: usize, end: usize) -> Part {
    let heading_ends = |event: &Event| matches!(event, Event::End(TagEnd::Heading(_)));
    let body = events[start..end].iter().position(heading_ends).map_or(end, |at| start + at + 1);
    let mut title = String::new();
    for event in &events[start..body] {
        match event {
            Event::Text(text) | Event::Code(text) => title.push_str(text),
            Event::SoftBreak | Event::HardBreak => title.push(' '),
            _ => {}
        }
    }
    Part { title, body: body..end }
}

/// The text with each `{{outputs.NAME}}` replaced, or by its name where there is nothing to replace it by.
fn fill(text: &str, value: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((name, behind)) = after.split_once(CLOSE).filter(|(name, _)| is_name(name)) else {
            filled.push_str(before);
            filled.push_str(OPEN);
            rest = after;
            continue;
        };
        filled.push_str(before);
        match value(name) {
            Some(value) => filled.push_str(&value),
            None => filled.push_str(&format!("<{name}>")),
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

fn is_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    letters && (1..=64).contains(&name.len())
}

#[cfg(test)]
mod tests;
