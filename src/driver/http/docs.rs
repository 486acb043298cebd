//! `/docs`: the API's page for people, by Swagger UI (Apache-2.0, `docs/LICENSE`), which comes with the program. It
//! loads nothing from elsewhere, and its policy lets it load nothing from elsewhere.

use flow_domain::Error;
use rocket::http::{Method, Status};
use rocket::{get, routes};

use super::query::Query;
use super::{Answer, Handled, Operation, Resource};

/// The viewer sets styles as it goes.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// They change with the program.
const KEPT: &str = "public, max-age=3600";

const PAGE: &[u8] = include_bytes!("docs/index.html");
/// Name, media type, content, and whether it is compressed: every browser takes that.
const FILES: [(&str, &str, &[u8], bool); 3] = [
    ("start.js", "text/javascript; charset=utf-8", include_bytes!("docs/start.js"), false),
    ("swagger-ui.js", "text/javascript; charset=utf-8", include_bytes!("docs/swagger-ui.js.gz"), true),
    ("swagger-ui.css", "text/css; charset=utf-8", include_bytes!("docs/swagger-ui.css.gz"), true),
];

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![page, file],
        operations: vec![
            Operation::new(Method::Get, "/docs", "This page, for people").answers_with(
                200,
                "text/html",
                "HTML",
            ),
            Operation::new(Method::Get, "/docs/{file}", "What that page is made of")
                .answers_with(200, "text/javascript", "`start.js` or `swagger-ui.js`")
                .answers_with(200, "text/css", "`swagger-ui.css`")
                .problem(404, &["path.unknown"]),
        ],
    }
}

#[get("/docs")]
fn page(query: Query) -> Handled {
    query.only(&[])?;
    let page = Answer::of_type(Status::Ok, "text/html; charset=utf-8", PAGE.to_vec());
    Ok(page.header("Content-Security-Policy", POLICY))
}

#[get("/docs/<file>")]
fn file(file: &str, query: Query) -> Handled {
    query.only(&[])?;
    let known = FILES.iter().find(|(name, ..)| *name == file);
    let (_, media, content, compressed) =
        known.ok_or_else(|| Error::not_found("path.unknown", "There is nothing at this path."))?;
    let answer = Answer::of_type(Status::Ok, media, content.to_vec()).header("Cache-Control", KEPT);
    Ok(if *compressed { answer.header("Content-Encoding", "gzip") } else { answer })
}
