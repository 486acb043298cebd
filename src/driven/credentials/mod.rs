//! Passwords by bcrypt, tokens as JWT, and the key that signs them.

mod bcrypt;
mod jwt;
mod signing_key;

pub use bcrypt::BcryptPasswords;
pub use jwt::JwtTokens;
pub use signing_key::SigningKey;
