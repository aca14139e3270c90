//! Which words may name a host.

use engine::site::{SiteError, SiteErrorKind};

/// Refuses what is no host name: empty, longer than a DNS name with a user, beginning like an option of ssh, or with a
/// character that no host name, address or user name has. The user's ssh configuration may match on the rest, and
/// some of its keywords (`ProxyCommand`, `Match exec`) hand the name to a shell.
pub(super) fn check(host: &str) -> Result<(), SiteError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._:@%-".contains(c);
    let refused = if host.is_empty() {
        "is empty"
    } else if host.len() > 255 {
        "is longer than 255 characters"
    } else if host.starts_with('-') || host.contains("@-") {
        "begins with a dash, like an option"
    } else if !host.chars().all(allowed) {
        "holds a character that no host name has"
    } else {
        return Ok(());
    };
    let shown: String = host.chars().take(60).flat_map(char::escape_default).collect();
    Err(SiteError::new(SiteErrorKind::NotStarted, format!("host name \"{shown}\" {refused}")))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_addresses_and_users_pass() {
        for host in ["gpu-21", "root@gpu-21.lab", "10.0.0.1", "fe80::1%eth0", "a_b"] {
            assert!(check(host).is_ok(), "{host}");
        }
    }

    #[test]
    fn options_and_shell_text_are_refused() {
        let long = "a".repeat(256);
        for host in
            ["", "-oProxyCommand=id", "a b", "$(id)", "a;b", "a\nb", "root@-o", "gpü", "a/b", "[x]", &long]
        {
            assert!(check(host).is_err(), "{host}");
        }
    }
}
