//! The checked-in code is what the `.proto` file says. `BLESS=1 cargo test -p core-node-proto --test generated` renews it.

use prost_build::Module;
use std::path::Path;
use std::{env, fs};

const PACKAGE: &str = "nodeservice";

/// Messages with keys, or with JSON that may hold some: their `Debug` is written by hand.
const WITHOUT_DEBUG: [&str; 8] = [
    ".nodeservice.HeartbeatRequest",
    ".nodeservice.ReportUsageRequest",
    ".nodeservice.ReportOutboundUsageRequest",
    ".nodeservice.GetLatestConfigRequest",
    ".nodeservice.GetLatestConfigResponse",
    ".nodeservice.ConfirmConfigAppliedRequest",
    ".nodeservice.ReportNodeStatsRequest",
    ".nodeservice.ReportOnlineUsersRequest",
];

#[test]
fn the_checked_in_code_is_what_the_schema_says() {
    check("../../proto", "src/generated/nodeservice.rs", messages());
}

#[test]
fn the_checked_in_stubs_are_what_the_schema_says() {
    let stubs = tonic_prost_build::configure().build_transport(false).service_generator();
    let mut config = prost_build::Config::new();
    config.extern_path(".nodeservice", "crate::pb").service_generator(stubs);
    check("../../proto", "src/generated/nodeservice_stubs.rs", config);
}

/// The schema of `permuted.rs`, which proves that another one will do.
#[test]
fn the_checked_in_code_of_the_other_schema_is_what_it_says() {
    check("tests/permuted", "tests/permuted/nodeservice.rs", messages());
}

fn messages() -> prost_build::Config {
    let mut config = prost_build::Config::new();
    config.btree_map(["."]).skip_debug(WITHOUT_DEBUG);
    config
}

fn check(folder: &str, kept: &str, config: prost_build::Config) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = root.join(kept);
    let fresh = generate(&root.join(folder), config);
    if env::var_os("BLESS").is_some() {
        fs::write(&kept, &fresh).expect("the code can be written");
    }
    let found = fs::read_to_string(&kept).unwrap_or_default().replace("\r\n", "\n");
    assert!(found == fresh, "{} is stale; renew it with BLESS=1", kept.display());
}

fn generate(folder: &Path, mut config: prost_build::Config) -> String {
    let descriptors = protox::compile(["node-service.proto"], [folder]).expect("the schema compiles");
    let module = Module::from_protobuf_package_name(PACKAGE);
    let requests = descriptors.file.into_iter().map(|file| (module.clone(), file)).collect();
    let mut files = config.generate(requests).expect("the schema has Rust code");
    files.remove(&module).expect("the package has messages")
}
