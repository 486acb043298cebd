use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use flow_domain::FamilyId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};

use super::*;

const SECRET: &str = "a signing key of at least thirty-two bytes";

fn tokens() -> JwtTokens {
    JwtTokens::new(&SigningKey::from_text(SECRET).unwrap(), "flow-manager", "flow-manager")
}

fn user(role: Role) -> User {
    User { id: UserId::new(), email: None, username: Some("ann".into()), name: None, role }
}

fn claims() -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "sub": UserId::new(), "role": "learner", "iat": now, "exp": now + 60,
        "iss": "flow-manager", "aud": "flow-manager", "jti": "1",
    })
}

fn signed(algorithm: Algorithm, claims: &Value, key: &str) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

fn code(token: &str) -> &'static str {
    tokens().verify(token).map_or_else(|error| error.code, |_| "good")
}

#[test]
fn a_token_says_who_it_was_made_for() {
    let user = user(Role::Operator);
    let stamp = Stamp { generation: 7, family: Some(FamilyId::new()) };
    let issued = tokens().issue(&user, stamp, Duration::from_secs(3600)).unwrap();
    let verified = tokens().verify(&issued.token).unwrap();
    assert_eq!(verified.stamp, stamp);
    assert_eq!(verified.caller, Caller { id: user.id, role: Role::Operator });
    assert_eq!((verified.jti, verified.username), (issued.jti, user.username));
    assert_eq!(verified.expires_at.as_second(), issued.expires_at.as_second());
}

#[test]
fn only_our_key_algorithm_issuer_and_audience_are_accepted() {
    assert_eq!(code(&signed(Algorithm::HS256, &claims(), SECRET)), "good");
    assert_eq!(
        code(&signed(Algorithm::HS256, &claims(), "another signing key of thirty-two bytes")),
        "auth.token_invalid"
    );
    assert_eq!(code(&signed(Algorithm::HS512, &claims(), SECRET)), "auth.token_invalid");
    for (claim, value) in [
        ("aud", json!("another")),
        ("iss", json!("another")),
        ("role", json!("system")),
        ("role", json!("root")),
        ("sub", json!("ann")),
        ("nbf", json!(Timestamp::now().as_second() + 60)),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        assert_eq!(code(&signed(Algorithm::HS256, &claims, SECRET)), "auth.token_invalid", "{claim}");
    }
}

#[test]
fn every_claim_is_wanted() {
    for claim in ["sub", "role", "iat", "exp", "iss", "aud", "jti"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(code(&signed(Algorithm::HS256, &claims, SECRET)), "auth.token_invalid", "{claim}");
    }
}

#[test]
fn the_leeway_is_bounded() {
    let now = Timestamp::now().as_second();
    let leeway = i64::try_from(LEEWAY_S).unwrap();
    for (exp, answer) in [(now - leeway + 5, "good"), (now - leeway - 5, "auth.token_expired")] {
        let mut claims = claims();
        claims["exp"] = json!(exp);
        assert_eq!(code(&signed(Algorithm::HS256, &claims, SECRET)), answer);
    }
}

#[test]
fn neither_no_algorithm_nor_a_key_in_the_header_opens_anything() {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let good = signed(Algorithm::HS256, &claims(), SECRET);
    let (_, rest) = good.split_once('.').unwrap();
    for alg in ["none", "None", ""] {
        let header = part(&json!({"alg": alg, "typ": "JWT"}));
        assert_eq!(code(&format!("{header}.{}.", part(&claims()))), "auth.token_invalid");
        assert_eq!(code(&format!("{header}.{rest}")), "auth.token_invalid");
    }
    let mut header = Header::new(Algorithm::HS256);
    let theirs = "a key that its own sender put into the header";
    header.jwk = serde_json::from_value(json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(theirs)})).ok();
    assert!(header.jwk.is_some());
    let token = encode(&header, &claims(), &EncodingKey::from_secret(theirs.as_bytes())).unwrap();
    assert_eq!(code(&token), "auth.token_invalid");
}

#[test]
fn an_extension_we_do_not_know_is_refused() {
    let header = Header { crit: Some(vec!["b64".into()]), ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    assert_eq!(code(&token), "auth.token_invalid");
}

#[test]
fn rubbish_is_refused_whatever_its_size() {
    for rubbish in ["", ".", "..", "a.b.c", "\u{1f600}.\u{1f600}.x", &"x".repeat(1 << 20)] {
        assert_eq!(code(rubbish), "auth.token_invalid");
    }
}

#[test]
fn no_token_is_made_for_the_system() {
    assert!(tokens().issue(&user(Role::System), Stamp::default(), Duration::from_secs(1)).is_err());
}

const OTHER: &str = "another signing key of thirty-two bytes";
/// Made for these tests and used nowhere else.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTJ5Sb4SwfCMoUdzB
LUHJiNAsLQywyjt0fwSVPNXYrBChRANCAASR7TyNZyk3P2qjICaees4FpNgOnsVg
dinZb7sGOa0kzWPG3DBDIAsBMQKpOxe+kxDeffPqyThLdbKWpx24+lNi
-----END PRIVATE KEY-----";
const OTHER_PEM: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIIPVvdTkKUD9Dzivm5Lft8YVqpp59pOLx4gWV8tQfHtcoAoGCCqGSM49
AwEHoUQDQgAEMLQv4Hv354lLiLyFd1xzlu+VDIuK4scnmUhmsf5JfgB4virKr6Sc
TGzW7rIFzkHR+Lqme4ELTgjqFkFYHDCHkw==
-----END EC PRIVATE KEY-----";

fn ring(current: &str, second: Option<&str>) -> JwtTokens {
    let key = |text: &str| match text.starts_with("-----") {
        true => SigningKey::from_pem(text).unwrap(),
        false => SigningKey::from_text(text).unwrap(),
    };
    let tokens = JwtTokens::new(&key(current), "flow-manager", "flow-manager");
    second.map(key).iter().fold(tokens, |tokens, second| tokens.accepting(second))
}

fn made_by(tokens: &JwtTokens) -> String {
    tokens.issue(&user(Role::Learner), Stamp::default(), Duration::from_secs(60)).unwrap().token
}

#[test]
fn two_keys_live_side_by_side_whatever_their_kind_and_only_one_signs() {
    for (old, new) in [(SECRET, OTHER), (SECRET, PEM), (PEM, SECRET), (PEM, OTHER_PEM)] {
        let (before, during, after) = (ring(old, None), ring(new, Some(old)), ring(new, None));
        assert!(during.verify(&made_by(&before)).is_ok());
        assert!(during.verify(&made_by(&during)).is_ok());
        assert!(after.verify(&made_by(&during)).is_ok());
        assert!(after.verify(&made_by(&before)).is_err());
        assert!(before.verify(&made_by(&during)).is_err());
    }
}

#[test]
fn the_key_named_by_a_token_is_one_of_ours_or_nothing() {
    let tokens = ring(SECRET, Some(OTHER));
    let good = tokens.current.kid.clone();
    let with_kid = |kid: &str, key: &str| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims(), &EncodingKey::from_secret(key.as_bytes())).unwrap()
    };
    assert!(tokens.verify(&with_kid(&good, SECRET)).is_ok());
    // The second key's tokens under the first one's name.
    assert!(tokens.verify(&with_kid(&good, OTHER)).is_err());
    for kid in
        ["", "../../dev/null", "/dev/null", "' or 1=1 --", "0", &good.to_uppercase(), &"x".repeat(2000)]
    {
        assert!(tokens.verify(&with_kid(kid, SECRET)).is_err(), "{kid}");
        assert!(tokens.verify(&with_kid(kid, "")).is_err(), "{kid}");
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let tokens = ring(PEM, Some(SECRET));
    let set = tokens.public_keys().unwrap();
    let jwk = set["keys"][0].clone();
    let confusing =
        [jwk.to_string(), jwk["x"].as_str().unwrap().to_owned(), jwk["y"].as_str().unwrap().to_owned()];
    for key in confusing {
        for kid in [jwk["kid"].as_str().map(str::to_owned), None] {
            let header = Header { kid, ..Header::new(Algorithm::HS256) };
            let token = encode(&header, &claims(), &EncodingKey::from_secret(key.as_bytes())).unwrap();
            assert!(tokens.verify(&token).is_err());
        }
    }
}

#[test]
fn public_keys_are_shown_and_secrets_are_not() {
    assert_eq!(ring(SECRET, Some(OTHER)).public_keys().unwrap(), json!({"keys": []}));
    let set = ring(PEM, Some(OTHER_PEM)).public_keys().unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert_eq!(
            (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
            (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
        );
        assert!(key.get("d").is_none() && key["x"].as_str().unwrap().len() == 43);
    }
    // Whoever has the page can check a token without us.
    let token = made_by(&ring(PEM, None));
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys[0].clone()).unwrap();
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid, jwk.common.key_id);
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["flow-manager"]);
    assert!(
        jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).is_ok()
    );
}
