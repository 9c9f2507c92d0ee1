//! The attacks on every program, as tables.
//!
//! A further protocol is a [`Pair`], a table for each of its programs, and two rows here.

mod grpc;
mod http;
mod json;
mod lines;
mod web_socket;

use crate::attack::Attack;
use crate::case::{Case, Side};
use crate::pair::{CORE, CORE_GRPC, ITHILTIR, NODE_RED, NODEPASS, Pair, TEETH};

/// Returns all attacks on all programs.
pub(crate) fn all() -> Vec<Case> {
    let clients = || http::on_client().into_iter().map(|attack| attack.greeted(http::speak));
    let nodes = || {
        let attacks = http::on_client().into_iter().map(|attack| attack.greeted(http::speak_by_report));
        attacks.chain(http::on_newcomer()).chain(http::on_node())
    };
    let tables: [(&'static Pair, Side, Vec<Attack>); 12] = [
        (&ITHILTIR, Side::Server, http::on_server(&http::DASH)),
        (&ITHILTIR, Side::Client, clients().collect()),
        (&CORE, Side::Server, http::on_server(&http::CORE)),
        (&CORE, Side::Client, nodes().collect()),
        (&CORE_GRPC, Side::Server, grpc::on_server()),
        (&CORE_GRPC, Side::Client, grpc::on_client()),
        (&NODEPASS, Side::Server, http::on_server(&http::MASTER)),
        (&NODEPASS, Side::Client, clients().chain(http::on_stream_reader()).collect()),
        (&TEETH, Side::Server, lines::on_server()),
        (&TEETH, Side::Client, lines::on_agent()),
        (
            &NODE_RED,
            Side::Server,
            http::on_server(&http::ADMIN).into_iter().chain(web_socket::on_server()).collect(),
        ),
        (&NODE_RED, Side::Client, clients().chain(web_socket::on_client()).collect()),
    ];
    let cases = |(pair, side, attacks): (_, _, Vec<_>)| {
        attacks.into_iter().map(move |attack| Case { pair, side, attack })
    };
    let secrets = [&ITHILTIR, &CORE, &CORE_GRPC, &NODEPASS, &NODE_RED].map(Case::of_secrets);
    tables.into_iter().flat_map(cases).chain(secrets).collect()
}
