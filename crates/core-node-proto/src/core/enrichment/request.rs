//! Requests to the providers.

use super::{Config, Provider};
use crate::value::Address;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};

/// Returns the request about these addresses, of which there is at least one. `config` has been checked.
pub(super) fn request(config: &Config, addresses: &[Address]) -> Request<Bytes> {
    let (method, path, body) = if config.batch > 1 {
        (Method::POST, "batch".to_owned(), batch_body(addresses))
    } else {
        (Method::GET, single_path(config.provider, addresses[0]), Bytes::new())
    };
    let mut request =
        Request::builder().method(method).uri(uri(config, &path)).body(body).expect("checked parts");
    let json = HeaderValue::from_static("application/json");
    let headers = request.headers_mut();
    headers.insert(ACCEPT, json.clone());
    if config.batch > 1 {
        headers.insert(CONTENT_TYPE, json);
    }
    if let (Provider::IpInfo, Some(token)) = (config.provider, &config.token) {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {}", token.expose())).expect("a checked token");
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    request
}

fn uri(config: &Config, path: &str) -> String {
    let base = match (&config.base, config.provider) {
        (Some(base), _) => base.to_string(),
        (None, Provider::IpInfo) => "https://ipinfo.io".to_owned(),
        (None, Provider::IpApi) if config.token.is_some() => "https://pro.ip-api.com".to_owned(),
        (None, Provider::IpApi) => "http://ip-api.com".to_owned(),
    };
    let mut uri = format!("{}/{path}", base.trim_end_matches('/'));
    if let (Provider::IpApi, Some(token)) = (config.provider, &config.token) {
        uri.push_str("?key=");
        push_escaped(&mut uri, token.expose());
    }
    uri
}

fn single_path(provider: Provider, address: Address) -> String {
    match provider {
        Provider::IpInfo => format!("{address}/json"),
        Provider::IpApi => format!("json/{address}"),
    }
}

fn batch_body(addresses: &[Address]) -> Bytes {
    let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
    serde_json::to_vec(&texts).expect("texts are JSON").into()
}

/// Adds a text to a query: all but the unreserved characters as `%` and two digits.
fn push_escaped(uri: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn addresses() -> Vec<Address> {
        ["8.8.8.8", "2001:4860:4860::8888"].map(|text| text.parse().unwrap()).to_vec()
    }

    fn line(config: &Config) -> String {
        let request = request(config, &addresses()[..config.batch.min(2)]);
        format!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(request.body()))
    }

    #[test]
    fn one_address_is_asked_about_in_the_path() {
        let single = |provider| Config { batch: 1, ..Config::new(provider, None) };
        assert_eq!(line(&single(Provider::IpInfo)), "GET https://ipinfo.io/8.8.8.8/json ");
        assert_eq!(line(&single(Provider::IpApi)), "GET http://ip-api.com/json/8.8.8.8 ");
        let base = Some("http://[::1]:8080/cache/".parse().unwrap());
        let config = Config { base, ..single(Provider::IpApi) };
        assert_eq!(line(&config), "GET http://[::1]:8080/cache/json/8.8.8.8 ");
    }

    #[test]
    fn many_addresses_are_a_list_in_the_body() {
        let body = r#"["8.8.8.8","2001:4860:4860::8888"]"#;
        let config = Config::new(Provider::IpApi, None);
        assert_eq!(line(&config), format!("POST http://ip-api.com/batch {body}"));
        let config = Config::new(Provider::IpInfo, Some(Secret::new("token")));
        assert_eq!(line(&config), format!("POST https://ipinfo.io/batch {body}"));
    }

    #[test]
    fn the_token_of_ipinfo_is_a_sensitive_header_and_the_key_of_ip_api_a_parameter() {
        let config = Config::new(Provider::IpInfo, Some(Secret::new("to/ken")));
        let asked = request(&config, &addresses());
        assert_eq!(asked.headers()[AUTHORIZATION], "Bearer to/ken");
        assert!(asked.headers()[AUTHORIZATION].is_sensitive());
        assert_eq!(asked.headers()[CONTENT_TYPE], "application/json");
        let config = Config { batch: 1, ..Config::new(Provider::IpApi, Some(Secret::new("a+b&c~"))) };
        assert_eq!(line(&config), "GET https://pro.ip-api.com/json/8.8.8.8?key=a%2Bb%26c~ ");
        assert!(request(&config, &addresses()).headers().get(AUTHORIZATION).is_none());
    }
}
