//! An OpenID Connect provider, with the `openidconnect` crate.

mod discovery;
mod oauth;
mod wire;

use async_trait::async_trait;
use flow_domain::openid::{Attempt, OAuthTokens, OpenIdProvider, Profile, Subject};
use flow_domain::{Error, Kind, Result};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
    CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, Nonce, NonceVerifier,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, SubjectIdentifier, TokenResponse, UserInfoError,
};

use discovery::{Discovery, Metadata};
pub use oauth::TokenCheck;
use wire::{Wire, WireError};

#[derive(Clone, Debug)]
pub struct OidcSettings {
    pub issuer: String,
    pub client_id: String,
    /// None for a public client: PKCE alone then.
    pub client_secret: Option<String>,
    pub scopes: Vec<String>,
    /// Where the provider sends browsers back to.
    pub redirect_url: String,
    /// Whom access tokens must be for.
    pub audience: String,
    pub token_check: TokenCheck,
}

/// One provider. Connects to nothing until somebody signs in.
pub struct OidcProvider {
    settings: OidcSettings,
    redirect_url: RedirectUrl,
    wire: Wire,
    discovery: Discovery,
}

/// With what discovery gives: where to sign in for sure, the other two perhaps.
type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl OidcProvider {
    /// The error is a sentence that names the setting.
    pub fn new(settings: OidcSettings) -> std::result::Result<Self, String> {
        let redirect_url = RedirectUrl::new(settings.redirect_url.clone())
            .map_err(|error| format!("oidc.redirect_url is not a URL: {error}."))?;
        let wire = Wire::new().map_err(|error| format!("The client for the provider failed: {error}."))?;
        let discovery = Discovery::new(&settings.issuer, wire.clone())?;
        Ok(Self { settings, redirect_url, wire, discovery })
    }

    fn client(&self, metadata: &Metadata) -> Client {
        let id = ClientId::new(self.settings.client_id.clone());
        let secret = self.settings.client_secret.clone().map(ClientSecret::new);
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, secret);
        let methods = metadata.token_endpoint_auth_methods_supported();
        let post = methods.is_some_and(|methods| {
            !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
        });
        let client = client.set_redirect_uri(self.redirect_url.clone());
        if post { client.set_auth_type(AuthType::RequestBody) } else { client }
    }

    /// What an id token says, once its signature, issuer, audience, time and nonce hold. A key that is not known yet
    /// is looked for once more at the provider: it rotates them.
    async fn claims<N: NonceVerifier + Clone>(
        &self,
        token: &CoreIdToken,
        nonce: N,
    ) -> Result<CoreIdTokenClaims> {
        let metadata = self.discovery.get().await?;
        let client = self.client(&metadata);
        let refusal = match token.claims(&verifier(&client, &metadata), nonce.clone()) {
            Ok(claims) => return Ok(claims.clone()),
            Err(refusal) => refusal,
        };
        let unknown_key = matches!(
            refusal,
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)
        );
        if !unknown_key {
            return Err(id_token_invalid(refusal));
        }
        let Some(metadata) = self.discovery.renew(&metadata).await? else {
            return Err(id_token_invalid(refusal));
        };
        let client = self.client(&metadata);
        let claims = token.claims(&verifier(&client, &metadata), nonce).map_err(id_token_invalid)?;
        Ok(claims.clone())
    }

    /// Refuses an access token that another id token came with.
    async fn belong_together(
        &self,
        token: &CoreIdToken,
        claims: &CoreIdTokenClaims,
        access: &AccessToken,
    ) -> Result<()> {
        let Some(expected) = claims.access_token_hash() else { return Ok(()) };
        let metadata = self.discovery.get().await?;
        let client = self.client(&metadata);
        let verifier = verifier(&client, &metadata);
        let algorithm = token.signing_alg().map_err(id_token_invalid)?;
        let key = token.signing_key(&verifier).map_err(id_token_invalid)?;
        let actual = AccessTokenHash::from_token(access, algorithm, key).map_err(id_token_invalid)?;
        if actual == *expected { Ok(()) } else { Err(id_token_invalid("it came with another access token")) }
    }

    async fn user_info(&self, access: AccessToken, subject: &str) -> Result<Option<CoreUserInfoClaims>> {
        let client = self.client(&*self.discovery.get().await?);
        let subject = SubjectIdentifier::new(subject.to_owned());
        // Not every provider has it.
        let Ok(request) = client.user_info(access, Some(subject)) else { return Ok(None) };
        let answer: std::result::Result<CoreUserInfoClaims, _> = request.request_async(&self.wire).await;
        answer.map(Some).map_err(|error: UserInfoError<WireError>| match error {
            UserInfoError::Request(error) => away(error),
            other => oauth::token_invalid().because(other),
        })
    }

    fn subject(&self, claims: &CoreIdTokenClaims) -> Subject {
        Subject { issuer: self.settings.issuer.clone(), subject: claims.subject().to_string() }
    }
}

#[async_trait]
impl OpenIdProvider for OidcProvider {
    async fn begin(&self) -> Result<(String, Attempt)> {
        let client = self.client(&*self.discovery.get().await?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let scopes = self.settings.scopes.iter().filter(|scope| *scope != "openid");
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(scopes.cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        let (state, nonce) = (state.into_secret(), nonce.secret().clone());
        Ok((url.into(), Attempt { state, nonce, verifier: verifier.into_secret() }))
    }

    async fn finish(&self, attempt: &Attempt, code: &str) -> Result<(Profile, OAuthTokens)> {
        let client = self.client(&*self.discovery.get().await?);
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| away("its metadata names no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()))
            .request_async(&self.wire)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(refusal)
                    if *refusal.error() == CoreErrorResponseType::InvalidGrant =>
                {
                    let public = "The provider does not take this code: it was used before, or is too old; start again at /auth/google.";
                    unauthenticated("oidc.code_refused", public).because(refusal)
                }
                // Our own settings, most likely; the log has what it said.
                other => away(other),
            })?;
        let token = answer.id_token().ok_or_else(|| id_token_invalid("there is none"))?;
        let nonce = Nonce::new(attempt.nonce.clone());
        let claims = self.claims(token, &nonce).await?;
        self.belong_together(token, &claims, answer.access_token()).await?;
        let mut profile = Profile {
            subject: self.subject(&claims),
            email: claims.email().map(|email| email.to_string()),
            email_verified: claims.email_verified().unwrap_or(false),
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
        };
        // Many providers put no more than the subject in the token itself.
        if profile.email.is_none()
            && let Some(info) = self.user_info(answer.access_token().clone(), claims.subject()).await?
        {
            profile = told(profile.subject, &info);
        }
        let tokens = OAuthTokens {
            access_token: answer.access_token().secret().clone(),
            refresh_token: answer.refresh_token().map(|token| token.secret().clone()),
            expires_in_s: answer.expires_in().map(|time| time.as_secs()),
        };
        Ok((profile, tokens))
    }

    fn is_issuer(&self, issuer: &str) -> bool {
        issuer == self.settings.issuer
    }
}

/// Where no provider is configured.
pub struct NoProvider;

#[async_trait]
impl OpenIdProvider for NoProvider {
    async fn begin(&self) -> Result<(String, Attempt)> {
        Err(not_configured())
    }

    async fn finish(&self, _: &Attempt, _: &str) -> Result<(Profile, OAuthTokens)> {
        Err(not_configured())
    }

    fn is_issuer(&self, _: &str) -> bool {
        false
    }

    fn is_there(&self) -> bool {
        false
    }
}

/// Only signatures that need a private key: with others, whoever knows the client's secret could sign.
fn verifier<'a>(client: &'a Client, metadata: &Metadata) -> CoreIdTokenVerifier<'a> {
    use CoreJwsSigningAlgorithm::{HmacSha256, HmacSha384, HmacSha512, None};
    let offered = metadata.id_token_signing_alg_values_supported().iter();
    let asymmetric = offered.filter(|name| !matches!(name, HmacSha256 | HmacSha384 | HmacSha512 | None));
    client.id_token_verifier().set_allowed_algs(asymmetric.cloned().collect::<Vec<_>>())
}

/// What the user info endpoint says of somebody.
fn told(subject: Subject, info: &CoreUserInfoClaims) -> Profile {
    Profile {
        subject,
        email: info.email().map(|email| email.to_string()),
        email_verified: info.email_verified().unwrap_or(false),
        name: info.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
    }
}

fn unauthenticated(code: &'static str, public: &str) -> Error {
    Error::new(Kind::Unauthenticated, code, public)
}

fn id_token_invalid(cause: impl std::fmt::Display) -> Error {
    let public = "What the provider says of you does not hold; start again at /auth/google.";
    unauthenticated("oidc.id_token_invalid", public).because(cause)
}

fn away(cause: impl std::fmt::Display) -> Error {
    Error::unavailable("oidc.unavailable", "The sign-in provider does not answer; try again shortly.")
        .because(cause)
}

fn not_configured() -> Error {
    Error::conflict("oidc.not_configured", "No sign-in provider is configured here: sign in with a password.")
}
