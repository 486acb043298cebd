//! What `serve` says when it is ready.

use std::net::SocketAddr;

/// Where it listens, and what to type next; `demo` is the demo user's e-mail address and password.
pub fn banner(address: SocketAddr, demo: Option<(&str, &str)>) -> String {
    let url = format!("http://{address}");
    let Some((email, password)) = demo else { return format!("Flow Manager listens on {url}") };
    format!(
        "Flow Manager listens on {url}

  Demo user  {email}  {password}

Sign in, run a flow, see its run:

  TOKEN=$(curl -s {url}/login -H 'Content-Type: application/json' -d '{{\"email\":\"{email}\",\"password\":\"{password}\"}}' | jq -r .token)
  curl -s {url}/flow-manager -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{{\"flow\":\"hello\"}}'
  curl -s {url}/flow-manager/runs -H \"Authorization: Bearer $TOKEN\"

Ctrl-C stops it; its data stays."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_users_password_is_shown_only_in_demo_mode() {
        let address = "127.0.0.1:8080".parse().unwrap();
        let demo = banner(address, Some(("a@example.org", "pa55&word")));
        assert!(demo.contains(r#"-d '{"email":"a@example.org","password":"pa55&word"}' | jq"#), "{demo}");
        assert_eq!(demo.lines().filter(|line| line.contains("curl")).count(), 3);
        assert_eq!(banner(address, None), "Flow Manager listens on http://127.0.0.1:8080");
    }
}
