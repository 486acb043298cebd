//! Health, and the OpenAPI page held against what the service really does.

use std::collections::BTreeSet;

use flow_domain::health::Condition;
use flow_domain::users::Role;
use rocket::http::ContentType;
use serde_json::{Value, json};

use super::{Service, seen, with};
use crate::driver::http::server::Operations;

#[rocket::async_test]
async fn ready_only_between_start_and_drain() {
    let service = Service::start().await;
    assert_eq!(service.get("/livez", None).await.status, 200);
    service.get("/readyz", None).await.is_problem(503, "service.starting");
    service.readiness.set_ready();
    assert_eq!(service.get("/readyz", None).await.status, 200);
    service.readiness.set_draining();
    service.get("/readyz", None).await.is_problem(503, "service.draining");
    assert_eq!(service.get("/livez", None).await.status, 200);
}

#[rocket::async_test]
async fn health_tells_everyone_the_status_and_operators_the_parts() {
    let service = Service::start().await;
    let operator = service.token(Role::Operator);
    service.set_part(Condition::unhealthy("no connection"));
    for token in [None, Some("rubbish"), Some(service.token(Role::Learner).as_str())] {
        let answer = service.get("/health", token).await;
        assert_eq!((answer.status, answer.body), (503, json!({"status": "unhealthy"})));
    }
    let answer = service.get("/health", Some(&operator)).await;
    let database = &answer.body["components"]["database"];
    assert_eq!((&database["status"], &database["detail"]), (&json!("unhealthy"), &json!("no connection")));
    assert!(database["latency_ms"].is_number() && database["last_success_s"].is_null(), "{database}");
    for service in ["auth", "api"] {
        let part = &answer.body["components"][service];
        assert_eq!(part["detail"], "the database is not well", "{part}");
    }
}

#[rocket::async_test]
async fn a_degraded_service_still_serves() {
    let service = Service::start().await;
    service.set_part(Condition::degraded("slow"));
    let answer = service.get("/health", None).await;
    assert_eq!((answer.status, answer.body), (200, json!({"status": "degraded"})));
}

#[rocket::async_test]
async fn the_page_and_the_routes_name_the_same_calls() {
    let service = Service::start().await;
    let page = service.get("/openapi.json", None).await.body;
    let told: BTreeSet<String> = page["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, calls)| {
            calls.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let mounted: BTreeSet<String> = service
        .client
        .rocket()
        .routes()
        .filter(|route| !route.uri.path().starts_with("/t/"))
        .map(|route| {
            let path = route.uri.path().replace("..>", ">").replace('<', "{").replace('>', "}");
            format!("{} {path}", route.method)
        })
        .collect();
    assert_eq!(told, mounted);
    assert!(told.contains("POST /login"));
}

#[rocket::async_test]
async fn every_reference_of_the_page_leads_somewhere() {
    let service = Service::start().await;
    let page = service.get("/openapi.json", None).await.body;
    assert_eq!(page["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect(&page, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the page");
        assert!(page.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

/// The role on the page is the role at the door.
#[rocket::async_test]
async fn every_call_that_names_a_role_refuses_the_one_below() {
    let service = Service::start().await;
    let operations = &service.client.rocket().state::<Operations>().unwrap().0;
    let mut guarded = 0;
    for operation in operations {
        let path = operation
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { "0190a5a0-0000-7000-8000-000000000000" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        let call = async |token: Option<&str>| {
            let request = service.client.req(operation.method, path.clone()).header(ContentType::JSON);
            let answer = with(request, token).dispatch().await;
            // What is granted may be a stream, which ends much later.
            if answer.status().code < 300 { None } else { Some(seen(answer).await) }
        };
        let bare = call(None).await;
        let Some(floor) = operation.role else {
            assert!(bare.is_none_or(|bare| bare.code() != "auth.token_missing"), "{path}");
            continue;
        };
        guarded += 1;
        bare.expect("a refusal").is_problem(401, "auth.token_missing");
        let below =
            [Role::Anonymous, Role::Learner, Role::Operator].into_iter().rev().find(|role| *role < floor);
        if let Some(role) = below {
            call(Some(&service.token(role))).await.expect("a refusal").is_problem(403, "auth.role_too_low");
        }
        let enough = call(Some(&service.token(floor))).await;
        assert!(enough.is_none_or(|enough| enough.code() != "auth.role_too_low"), "{path}");
    }
    assert!(guarded > 0);
}
