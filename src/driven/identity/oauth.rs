//! Access tokens that callers bring: whose they are, and whether they are meant for us.

use async_trait::async_trait;
use flow_domain::openid::{OAuthVerifier, Profile, Shown, Subject};
use flow_domain::{Error, Result};
use openidconnect::core::{CoreErrorResponseType, CoreIdToken, CoreTokenIntrospectionResponse};
use openidconnect::http::{Method, Request};
use openidconnect::url::Url;
use openidconnect::{AccessToken, IntrospectionUrl, Nonce, RequestTokenError, TokenIntrospectionResponse};
use serde::Deserialize;
use std::str::FromStr;

use super::{NoProvider, OidcProvider, away, not_configured, told, unauthenticated};

/// How an access token and its audience are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    /// RFC 7662.
    Introspection,
    /// Google's way: the provider tells of a token to whoever asks at this address.
    TokenInfo(String),
    /// The provider tells of no audience, so an id token beside it must.
    IdToken,
}

#[derive(Deserialize)]
struct TokenInfo {
    aud: String,
    sub: String,
}

#[async_trait]
impl OAuthVerifier for OidcProvider {
    async fn verify(&self, shown: &Shown) -> Result<Subject> {
        let subject = match &self.settings.token_check {
            TokenCheck::Introspection => self.introspect(&shown.access_token).await?,
            TokenCheck::TokenInfo(url) => self.token_info(url, &shown.access_token).await?,
            TokenCheck::IdToken => self.id_token(shown).await?,
        };
        Ok(Subject { issuer: self.settings.issuer.clone(), subject })
    }

    async fn profile(&self, shown: &Shown, subject: &Subject) -> Result<Profile> {
        let access = AccessToken::new(shown.access_token.clone());
        let info = self.user_info(access, &subject.subject).await?;
        let nothing = Profile { subject: subject.clone(), email: None, email_verified: false, name: None };
        Ok(info.map_or(nothing, |info| told(subject.clone(), &info)))
    }
}

impl OidcProvider {
    async fn introspect(&self, token: &str) -> Result<String> {
        let metadata = self.discovery.get().await?;
        let endpoint = metadata.additional_metadata().introspection_endpoint.clone();
        let endpoint = endpoint.ok_or_else(|| away("its metadata names no introspection endpoint"))?;
        let endpoint = IntrospectionUrl::new(endpoint).map_err(away)?;
        let answer: CoreTokenIntrospectionResponse = self
            .client(&metadata)
            .set_introspection_url(endpoint)
            .introspect(&AccessToken::new(token.to_owned()))
            .request_async(&self.wire)
            .await
            .map_err(|error| match error {
                // Refused for what we are, not for what we asked about.
                RequestTokenError::ServerResponse(refusal)
                    if !matches!(
                        refusal.error(),
                        CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient
                    ) =>
                {
                    token_invalid().because(refusal)
                }
                other => away(other),
            })?;
        if !answer.active() {
            return Err(token_invalid());
        }
        let audience = &self.settings.audience;
        let meant = match answer.aud() {
            Some(audiences) => audiences.contains(audience),
            // A token for the provider itself names nobody but the client that has it.
            None => answer.client_id().is_some_and(|client| client.as_str() == audience),
        };
        if !meant {
            return Err(token_invalid().because("it is meant for another audience"));
        }
        // A token of a program, not of a person, has no subject.
        answer.sub().map(str::to_owned).ok_or_else(|| token_invalid().because("it names no subject"))
    }

    async fn token_info(&self, url: &str, token: &str) -> Result<String> {
        let mut url = Url::parse(url).map_err(away)?;
        url.query_pairs_mut().append_pair("access_token", token);
        let request = Request::builder().method(Method::GET).uri(url.as_str()).body(Vec::new());
        let answer = self.wire.send(request.map_err(away)?).await.map_err(away)?;
        match answer.status().as_u16() {
            200 => {}
            // What Google says of a token that is not good.
            400 | 401 => return Err(token_invalid()),
            // It says nothing of the token: a wrong address, or asked too often.
            status => return Err(away(format!("the token info endpoint answered {status}"))),
        }
        let info: TokenInfo =
            serde_json::from_slice(answer.body()).map_err(|error| token_invalid().because(error))?;
        if info.aud != self.settings.audience {
            return Err(token_invalid().because("it is meant for another audience"));
        }
        Ok(info.sub)
    }

    /// The id token says for whom, and the provider whether the access token is good and of the same person.
    async fn id_token(&self, shown: &Shown) -> Result<String> {
        let text = shown.id_token.as_deref().ok_or_else(|| {
            unauthenticated(
                "oauth.id_token_missing",
                "Here an id token goes with the access token, in the header X-Id-Token or as `id_token`.",
            )
        })?;
        let token = CoreIdToken::from_str(text).map_err(|_| token_invalid().because("no id token"))?;
        let any = |_: Option<&Nonce>| Ok(());
        let invalid = |error: Error| match error.code {
            "oidc.id_token_invalid" => Error { code: "oauth.token_invalid", ..token_invalid() }
                .because(error.cause.unwrap_or_default()),
            _ => error,
        };
        let claims = self.claims(&token, any).await.map_err(invalid)?;
        let access = AccessToken::new(shown.access_token.clone());
        self.belong_together(&token, &claims, &access).await.map_err(invalid)?;
        let subject = claims.subject().to_string();
        match self.user_info(access, &subject).await? {
            Some(_) => Ok(subject),
            None => Err(away("its metadata names no user info endpoint")),
        }
    }
}

#[async_trait]
impl OAuthVerifier for NoProvider {
    async fn verify(&self, _: &Shown) -> Result<Subject> {
        Err(not_configured())
    }

    async fn profile(&self, _: &Shown, _: &Subject) -> Result<Profile> {
        Err(not_configured())
    }
}

pub(super) fn token_invalid() -> Error {
    unauthenticated("oauth.token_invalid", "This access token is not good, or not meant for this service.")
}
