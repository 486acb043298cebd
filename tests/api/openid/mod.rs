//! Signing in with an OpenID Connect provider, and users by access token: against a certified provider, and against
//! an issuer of our own for what a good one never does.

mod browser;
pub mod created;
mod forged;
mod provider;
mod refusals;
mod signing_in;
mod tokeninfo;
mod users;

use browser::Browser;
use provider::Provider;

use crate::harness::TestApp;

pub const REDIRECT: &str = "http://127.0.0.1:8080/auth/google/callback";
pub const STATE_KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// The service, with this issuer as its provider.
pub async fn app_of(issuer: &str, more: &[(&str, &str)]) -> TestApp {
    let settings = [
        ("FLOW_OIDC_ISSUER", issuer),
        ("FLOW_OIDC_CLIENT_ID", "svc"),
        ("FLOW_OIDC_CLIENT_SECRET", "svc-secret"),
        ("FLOW_OIDC_REDIRECT_URL", REDIRECT),
        ("FLOW_STATE_KEY", STATE_KEY),
    ];
    TestApp::start_with(&[&settings, more].concat()).await
}

pub async fn start() -> (Provider, TestApp) {
    let provider = Provider::start().await;
    let app = app_of(&provider.issuer, &[]).await;
    (provider, app)
}
