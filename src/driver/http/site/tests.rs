//! The page as a browser gets it.

use std::collections::BTreeSet;
use std::path::Path;

use rocket::http::{Header, Status};

use super::{FILES, FIRST, SITE};
use crate::driver::http::tests::Service;

#[test]
fn the_list_and_the_folder_hold_the_same_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/driver/http/site");
    let mut there = BTreeSet::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(there.insert(name)),
            }
        }
    }
    there.remove("index.html");
    there.remove("tests.rs");
    let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(listed, there);
    assert!(FIRST.iter().all(|name| listed.contains(*name)));
}

#[rocket::async_test]
async fn the_page_comes_with_its_own_policy_and_leads_to_its_files() {
    let service = Service::start().await;
    let answer = service.client.get("/").dispatch().await;
    assert_eq!(answer.status(), Status::Ok);
    let policy = answer.headers().get_one("Content-Security-Policy").unwrap().to_owned();
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers().get_one("Cache-Control"), Some("no-cache"));
    let page = answer.into_string().await.unwrap();
    assert!(!page.contains("{{") && !page.contains("<style") && !page.contains(" style="), "{page}");
    assert!(page.contains(r#"content="signup""#), "{page}");
    let linked: Vec<&str> = page.split('"').filter(|part| part.starts_with("/site/")).collect();
    assert!(linked.len() > FIRST.len());
    for path in linked {
        let answer = service.client.get(path).dispatch().await;
        assert_eq!(answer.status(), Status::Ok, "{path}");
        assert!(answer.headers().get_one("Cache-Control").unwrap().contains("immutable"));
        assert_eq!(answer.headers().get_one("X-Content-Type-Options"), Some("nosniff"));
    }
}

#[rocket::async_test]
async fn files_are_packed_for_those_who_take_it_and_not_sent_to_those_who_have_them() {
    let service = Service::start().await;
    let path = format!("/site/{}/js/main.js", SITE.version);
    let get = |name: &'static str, value: String| {
        service.client.get(path.clone()).header(Header::new(name, value)).dispatch()
    };
    let plain = get("Accept-Encoding", "identity, gzip;q=0".into()).await;
    assert_eq!(plain.headers().get_one("Content-Encoding"), None);
    let plain = plain.into_bytes().await.unwrap();
    let packed = get("Accept-Encoding", "br, gzip".into()).await;
    assert_eq!(packed.headers().get_one("Content-Encoding"), Some("gzip"));
    let tag = packed.headers().get_one("ETag").unwrap().to_owned();
    let packed = packed.into_bytes().await.unwrap();
    assert!(packed.len() * 2 < plain.len() && packed.starts_with(&[0x1f, 0x8b]));
    let again = get("If-None-Match", tag).await;
    assert_eq!(again.status(), Status::NotModified);
    assert!(again.into_bytes().await.unwrap_or_default().is_empty());
}

#[rocket::async_test]
async fn what_is_no_file_of_the_page_is_unknown() {
    let service = Service::start().await;
    for path in [
        "/site/x/js/none.js",
        "/site/x/index.html",
        "/site/x/../../Cargo.toml",
        "/site/x/js/..%2f..%2fsite.rs",
    ] {
        service.get(path, None).await.is_problem(404, "path.unknown");
    }
    let old = service.client.get("/site/older/icon.svg").dispatch().await;
    assert_eq!((old.status(), old.headers().get_one("Cache-Control")), (Status::Ok, Some("no-cache")));
}
