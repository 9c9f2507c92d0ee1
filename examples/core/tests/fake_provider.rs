//! Core asks a provider about addresses, over a real connection. The provider is a stand-in on loopback that answers in the
//! forms of IPinfo.io and ip-api.com.

use core_example::clock::{self, Clock};
use core_example::core_driver::{self, Handle, Role};
use core_node_proto::core::enrichment::{Config as Enrichment, Job, Problem, Provider, Report};
use core_node_proto::core::{Change, Config, Core, Entropy, Event, Stored, Tables};
use core_node_proto::value::{Address, UserId};
use core_node_proto::{Instant, Secret};
use program::client::Client;
use program::tls::Trust;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request as the provider saw it.
#[derive(Clone, Debug, Default)]
struct Asked {
    /// Method and target.
    line: String,
    authorization: Option<String>,
    body: String,
}

/// A provider that answers each request by `answer`: a status, more headers, and a body.
struct FakeProvider {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Answer = (u16, &'static str, Value);

impl FakeProvider {
    async fn start(answer: impl Fn(usize, &Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                let (status, headers, body) = answer(number, &request);
                seen.lock().unwrap().push(request);
                let (body, close) = (body.to_string(), "connection: close\r\n");
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{close}{headers}\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read(stream: &mut TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let (mut asked, mut length, mut line) = (Asked::default(), 0, String::new());
    reader.read_line(&mut line).await.unwrap();
    asked.line = line.trim_end_matches(" HTTP/1.1\r\n").to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => asked.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.unwrap();
    asked.body = String::from_utf8(body).unwrap();
    asked
}

/// A Core whose users were seen at these addresses just now, and the reports of its runs.
struct Running {
    handle: Handle,
    reports: mpsc::UnboundedReceiver<Report>,
}

fn start(enrichment: Enrichment, addresses: &[&str]) -> Running {
    let mut config = Config::new(Entropy::new([7; 32]));
    config.enrichment = Some(enrichment);
    let core = Core::new(config, Stored::default(), clock::now(), Instant::now()).unwrap();
    let mut tables = Tables::default();
    for (number, address) in (1..).zip(addresses) {
        let user = UserId::new(number).unwrap();
        tables.apply(&[Change::Address { user, ip: address.parse().unwrap(), seen: clock::now() }]);
    }
    let (tell, reports) = mpsc::unbounded_channel();
    let news = move |_: &mut Role, event: &Event| {
        if let Event::Enriched(report) = event {
            tell.send(report.clone()).unwrap();
        }
    };
    let role = Role::new(core, tables, Clock::System);
    let (handle, driver) =
        core_driver::driver(role, Client::new(Trust::System), news, std::future::pending());
    tokio::spawn(driver);
    Running { handle, reports }
}

impl Running {
    async fn run(&mut self, job: Job) -> Report {
        let started = self.handle.order(move |role, now| role.core.start_enrichment(job, now)).await;
        assert_eq!(started, Some(Ok(())));
        let report = tokio::time::timeout(Duration::from_secs(20), self.reports.recv()).await;
        report.expect("the run ends").unwrap()
    }

    /// Returns what is stored about an address.
    async fn info(&self, address: &str) -> Option<Value> {
        let address: Address = address.parse().unwrap();
        let info = self.handle.order(move |role, _| role.tables.address_infos.get(&address).cloned()).await;
        info.unwrap().map(|info| serde_json::from_str(&info.info).unwrap())
    }
}

fn settings(provider: Provider, token: Option<&str>, url: &str) -> Enrichment {
    let mut settings = Enrichment::new(provider, token.map(Secret::new));
    settings.base = Some(url.parse().unwrap());
    settings.retry_delay = Duration::from_millis(20);
    settings
}

#[tokio::test]
async fn ipinfo_is_asked_once_about_an_address_of_many_users_and_its_answer_is_stored() {
    let provider = FakeProvider::start(|_, asked| {
        let addresses: Vec<String> = serde_json::from_str(&asked.body).unwrap();
        let about = addresses.iter().map(|ip| (ip.clone(), json!({"ip": ip, "country": "NO"})));
        (200, "", Value::Object(about.collect()))
    })
    .await;
    let addresses = ["9.9.9.9", "10.0.0.1", "9.9.9.9", "2a00::1", "127.0.0.1"];
    let mut running = start(settings(Provider::IpInfo, Some("the-token"), &provider.url), &addresses);
    let report = running.run(Job::Daily).await;
    assert_eq!((report.stored, report.skipped, report.failed), (2, 2, 0));
    assert!(report.is_complete);
    let asked = provider.asked();
    assert_eq!((asked.len(), asked[0].line.as_str()), (1, "POST /batch"));
    assert_eq!(asked[0].body, r#"["9.9.9.9","2a00::1"]"#);
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer the-token"));
    assert_eq!(running.info("2a00::1").await, Some(json!({"ip": "2a00::1", "country": "NO"})));
    assert_eq!(running.info("10.0.0.1").await, None);
}

#[tokio::test]
async fn ip_api_may_be_busy_at_first_and_knows_nothing_about_some_addresses() {
    let provider = FakeProvider::start(|number, asked| {
        if number == 0 {
            return (429, "x-rl: 0\r\nx-ttl: 1\r\n", json!({}));
        }
        let addresses: Vec<String> = serde_json::from_str(&asked.body).unwrap();
        let about = addresses.iter().map(|ip| match ip.as_str() {
            "9.9.9.9" => json!({"status": "fail", "message": "reserved range", "query": ip}),
            _ => json!({"status": "success", "query": ip, "city": "Oslo"}),
        });
        (200, "", about.collect())
    })
    .await;
    let mut running = start(settings(Provider::IpApi, None, &provider.url), &["9.9.9.9", "8.8.8.8"]);
    // Both were seen just now, hence are recent.
    let report = running.run(Job::Recent).await;
    assert_eq!((report.requests, report.stored, report.failed), (2, 1, 1));
    assert_eq!(report.problem, Some(Problem::Status(429)));
    assert_eq!(provider.asked().len(), 2);
    assert_eq!(running.info("8.8.8.8").await.unwrap()["city"], "Oslo");
    assert_eq!(running.info("9.9.9.9").await, None);
}

#[tokio::test]
async fn a_provider_without_batches_is_asked_about_each_address() {
    let provider = FakeProvider::start(|_, asked| (200, "", json!({"line": asked.line}))).await;
    let mut running = start(settings(Provider::IpInfo, None, &provider.url), &["9.9.9.9", "8.8.8.8"]);
    assert_eq!(running.run(Job::Daily).await.stored, 2);
    assert_eq!(running.info("8.8.8.8").await, Some(json!({"line": "GET /8.8.8.8/json"})));
    assert_eq!(running.info("9.9.9.9").await, Some(json!({"line": "GET /9.9.9.9/json"})));
}

#[tokio::test]
async fn a_provider_that_is_not_there_leaves_the_addresses_to_the_next_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut running = start(settings(Provider::IpApi, None, &url), &["8.8.8.8"]);
    let report = running.run(Job::Daily).await;
    assert_eq!((report.requests, report.stored, report.failed), (4, 0, 1));
    assert!(matches!(report.problem, Some(Problem::Transport(_))), "{:?}", report.problem);
}
