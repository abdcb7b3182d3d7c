//! The page of a scheduler: what it knows and what it decided of late, for people.
//!
//! It is one file that asks the API of the scheduler that served it, and nobody else. Its policy
//! allows it no more than that: only the script and the style that are in it, by their hashes.

/// The page, as `text/html; charset=utf-8`.
pub const HTML: &str = include_str!("page.html");

/// What its script hashes to.
const SCRIPT: &str = "PLtm9Q63z140mtrqyMXZJKI4Qt1TPfZShWd6hbXwLks=";

/// What its style hashes to.
const STYLE: &str = "tjEZMq8eP7Oqoo8OYU38pyRkgiwlxE6TLzRmoNQrg+I=";

/// The headers that the page is served with.
pub fn headers() -> [(&'static str, String); 6] {
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{SCRIPT}'; style-src 'sha256-{STYLE}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    [
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Content-Security-Policy", policy),
        ("Cache-Control", "no-cache".to_owned()),
        ("Referrer-Policy", "no-referrer".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
        ("X-Frame-Options", "DENY".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    /// The hash of what stands between `begin` and `end`, which are in the page once.
    fn hash(begin: &str, end: &str) -> String {
        let [(_, rest)] = [HTML.split_once(begin).unwrap()];
        let (inside, rest) = rest.split_once(end).unwrap();
        assert!(!rest.contains(begin), "{begin} comes twice");
        STANDARD.encode(Sha256::digest(inside))
    }

    #[test]
    fn the_policy_allows_the_script_and_the_style_that_are_there() {
        let are = (hash("<script>", "</script>"), hash("<style>", "</style>"));
        assert_eq!((SCRIPT, STYLE), (are.0.as_str(), are.1.as_str()));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for outside in ["http:", "https:", "//", "@import", "url(", "src=", " style=", "onclick"] {
            let found = HTML
                .lines()
                .find(|line| line.contains(outside) && !line.trim_start().starts_with("// "));
            assert_eq!(found, None, "{outside}");
        }
    }
}
