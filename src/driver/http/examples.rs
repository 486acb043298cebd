//! Bodies that work as they stand, in the demo, for `/openapi.json`. A test sends each.

use rocket::http::Method;
use serde_json::{Value, json};

/// Where a body of this call can be seen.
pub(super) fn body(method: Method, path: &str) -> Option<Value> {
    match (method, path) {
        (Method::Post, "/login") => Some(json!({"email": "user3784mail@gmail.com", "password": "aFtg&89M"})),
        (Method::Post, "/auth/login") => {
            Some(json!({"email": "user3784mail@gmail.com", "password": "aFtg&89M"}))
        }
        (Method::Post, "/auth/register") => {
            Some(json!({"email": "ada@example.org", "password": "an engine of difference", "name": "Ada"}))
        }
        (Method::Post, "/flow-manager") => Some(json!({"flow": "hello", "input": {"name": "Ada"}})),
        (Method::Post, "/flow-manager/runs/{id}/retry") => Some(json!({"input": {"name": "Ben"}})),
        (Method::Post, "/room/{name}") => Some(json!({"text": "hello"})),
        (Method::Post, "/users/{id}/role") => Some(json!({"role": "operator"})),
        (Method::Post, "/labs/{lab}/submit") => Some(json!({"answers": {"word": "00000000"}})),
        (Method::Post, "/flow-manager/flows/{name}/pause" | "/flow-manager/pause") => {
            Some(json!({"reason": "The provider is away until noon."}))
        }
        _ => None,
    }
}
