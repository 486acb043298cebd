//! The web page at `/`: files of `site/`, embedded in the program.
//!
//! Files lie below `/site/VERSION/`, where the version is the hash of all of them: they may be kept for good, and a
//! program with other files has other addresses. Nothing is built: what is served is what stands in the source tree.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use flow_domain::Error;
use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::{self, Responder, Response};
use rocket::{State, get, routes};
use sha2::{Digest, Sha256};

use super::at_hand::AtHand;
use super::{Operation, Problem, Resource, Services};

/// Scripts and styles from here alone and none within the page; nobody may frame it. Where browsers know Trusted
/// Types, only the service's sanitized HTML becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types server-html";
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
const ASK_EACH_TIME: &str = "no-cache";
const GOOGLE: &str = "https://accounts.google.com";

macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(($name, include_bytes!(concat!("site/", $name)))),*] };
}

const PAGE: &str = include_str!("site/index.html");
/// Every file but the page itself; a test holds the list against the folder.
const FILES: &[(&str, &[u8])] = files![
    "css/base.css",
    "css/lab.css",
    "css/layout.css",
    "css/parts.css",
    "css/runs.css",
    "icon.svg",
    "js/answers.js",
    "js/api.js",
    "js/art.js",
    "js/chat.js",
    "js/clock.js",
    "js/dom.js",
    "js/follow.js",
    "js/format.js",
    "js/hand_in.js",
    "js/launching.js",
    "js/live_list.js",
    "js/log.js",
    "js/login.js",
    "js/main.js",
    "js/meter.js",
    "js/orphans.js",
    "js/pages/flow.js",
    "js/pages/flows.js",
    "js/pages/health.js",
    "js/pages/lab.js",
    "js/pages/labs.js",
    "js/pages/room.js",
    "js/pages/run.js",
    "js/pages/runs.js",
    "js/pages/session.js",
    "js/pages/sessions.js",
    "js/pages/sign_in.js",
    "js/pages/tasks.js",
    "js/pages/users.js",
    "js/run_actions.js",
    "js/run_model.js",
    "js/schema_form.js",
    "js/story.js",
    "js/timeline.js",
    "js/tutorial.js",
    "js/ui.js",
    "js/why.js",
    "js/words.js",
    "js/workbench.js",
];
/// What every visit needs: fetched at once instead of one after another.
const FIRST: [&str; 6] = ["js/api.js", "js/dom.js", "js/format.js", "js/login.js", "js/main.js", "js/ui.js"];

static SITE: LazyLock<Site> = LazyLock::new(Site::read);

struct Site {
    version: String,
    /// Each file compressed, in the order of [`FILES`].
    packed: Vec<Vec<u8>>,
}

impl Site {
    fn read() -> Self {
        let mut hash = Sha256::new();
        for (name, bytes) in FILES {
            hash.update(format!("{name} {}\n", bytes.len()));
            hash.update(bytes);
        }
        let version = hex(&hash.finalize());
        Self { version, packed: FILES.iter().map(|(_, bytes)| pack(bytes)).collect() }
    }

    /// The page, which says where its files are and which doors there are.
    fn page(&self, features: &str) -> String {
        let mut links = String::new();
        let at = format!("/site/{}", self.version);
        for (name, _) in FILES.iter().filter(|(name, _)| name.ends_with(".css")) {
            let _ = writeln!(links, r#"<link rel="stylesheet" href="{at}/{name}">"#);
        }
        for name in FIRST {
            let _ = writeln!(links, r#"<link rel="modulepreload" href="{at}/{name}">"#);
        }
        let page = PAGE.replace("{{version}}", &self.version).replace("{{features}}", features);
        page.replace("{{links}}", links.trim_end())
    }
}

/// Enough of a hash to tell versions apart.
fn hex(hash: &[u8]) -> String {
    hash[..8].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Empty where it cannot be packed; then it is sent as it is.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

pub(super) fn resource() -> Resource {
    let tagged = |operation: Operation| operation.header("ETag", "Give it back as If-None-Match");
    let page = Operation::new(Method::Get, "/", "The web page")
        .takes_header("If-None-Match", "ETags of answers that are at hand")
        .answers_with(200, "text/html", "For browsers; it uses the calls of this document");
    let file = Operation::new(Method::Get, "/site/{version}/{path}", "A file of the web page")
        .takes_header("If-None-Match", "ETags of answers that are at hand")
        .answers_with(200, "text/javascript", "A script; styles and pictures are there too")
        .header("Cache-Control", "For good, if the version is this program's");
    let unchanged = |operation: Operation| operation.answers_with(304, "", "What If-None-Match names");
    Resource {
        routes: routes![home, file],
        operations: vec![unchanged(tagged(page)), unchanged(tagged(file)).problem(404, &["path.unknown"])],
    }
}

#[get("/")]
fn home(services: &State<Services>, at_hand: AtHand, gzip: TakesGzip) -> Served {
    let mut features = Vec::new();
    if services.identity.accounts.are_open() {
        features.push("signup");
    }
    let provider = &services.openid.provider;
    if provider.is_there() {
        features.push(if provider.is_issuer(GOOGLE) { "google" } else { "provider" });
    }
    let page = SITE.page(&features.join(" ")).into_bytes();
    let tag = hex(&Sha256::digest(&page));
    let packed = if gzip.0 { pack(&page) } else { Vec::new() };
    Served::new("text/html; charset=utf-8", page, packed, &tag, ASK_EACH_TIME, &at_hand)
}

/// Files of another version are those of this one: a page that was open over an upgrade finds its way.
#[get("/site/<version>/<path..>")]
fn file(version: &str, path: PathBuf, at_hand: AtHand, gzip: TakesGzip) -> Result<Served, Problem> {
    let name = path.to_str().unwrap_or_default();
    let unknown = || Error::not_found("path.unknown", "There is nothing at this address.");
    let index = FILES.iter().position(|(known, _)| *known == name).ok_or_else(unknown)?;
    let kept = if version == SITE.version { FOR_GOOD } else { ASK_EACH_TIME };
    let packed = if gzip.0 { SITE.packed[index].clone() } else { Vec::new() };
    let tag = format!("{}-{index}", SITE.version);
    Ok(Served::new(media_type(name), FILES[index].1.to_vec(), packed, &tag, kept, &at_hand))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// A file as it goes out.
struct Served {
    media_type: &'static str,
    /// None: the caller has it.
    body: Option<Vec<u8>>,
    packed: bool,
    tag: String,
    kept: &'static str,
}

impl Served {
    fn new(
        media_type: &'static str,
        plain: Vec<u8>,
        packed: Vec<u8>,
        tag: &str,
        kept: &'static str,
        at_hand: &AtHand,
    ) -> Self {
        let tag = format!("\"{tag}\"");
        let is_packed = !packed.is_empty();
        let body = if at_hand.has(&tag) { None } else { Some(if is_packed { packed } else { plain }) };
        Self { media_type, body, packed: is_packed, tag, kept }
    }
}

impl<'r> Responder<'r, 'static> for Served {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        // Weak: packed or not, it says the same.
        response
            .raw_header("ETag", format!("W/{}", self.tag))
            .raw_header("Cache-Control", self.kept)
            .raw_header("Vary", "Accept-Encoding")
            .raw_header("Content-Security-Policy", POLICY)
            .raw_header("Cross-Origin-Opener-Policy", "same-origin")
            .raw_header("Permissions-Policy", "camera=(), microphone=(), geolocation=()");
        let Some(body) = self.body else {
            return response.status(Status::NotModified).ok();
        };
        if self.packed {
            response.raw_header("Content-Encoding", "gzip");
        }
        response.raw_header("Content-Type", self.media_type);
        response.sized_body(body.len(), std::io::Cursor::new(body)).ok()
    }
}

/// Whether the caller takes gzip (RFC 9110, section 12.5.3).
struct TakesGzip(bool);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for TakesGzip {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let taken = request.headers().get("Accept-Encoding").flat_map(|header| header.split(','));
        let mut named = taken.map(|one| one.split_once(';').unwrap_or((one, "q=1")));
        let zero = |weight: &str| weight.trim().trim_start_matches("q=").parse::<f32>() == Ok(0.0);
        Outcome::Success(Self(named.any(|(name, weight)| name.trim() == "gzip" && !zero(weight))))
    }
}

#[cfg(test)]
mod tests;
