//! How calls and replies travel: as the bytes of both bindings, over a link that has faults.

use super::{Due, Origin, World};
use bytes::Bytes;
use core_node_proto::call::{
    Call, Delivery, Failure, FailureKind, GrpcCode, Incoming, KeyPlacement, Link, Refusal, Reply,
};
use core_node_proto::core::ExchangeId;
use core_node_proto::http::Base;
use core_node_proto::{Method, Secret, grpc, http as http_binding};

/// A call as it is on its way.
pub(crate) enum Wire {
    Http(http::Request<Bytes>),
    Grpc { path: &'static str, headers: http::HeaderMap, message: Bytes },
}

/// Returns a call as bytes. The key goes where the seed wants it.
fn write(link: Link, call: &Call, key: Option<&Secret>, placement: KeyPlacement) -> Wire {
    match link {
        Link::Http => {
            let base = Base::parse("http://core.example/base").unwrap();
            let mut request = http_binding::request(&base, call, key).unwrap();
            let route = request.uri().path().strip_prefix("/base").unwrap().parse().unwrap();
            *request.uri_mut() = route;
            Wire::Http(request)
        }
        Link::Grpc => {
            let request = grpc::request(call, key, placement).expect("calls by gRPC have a method");
            let mut headers = http::HeaderMap::new();
            headers
                .extend(request.metadata.map(|key| (http::HeaderName::from_static("x-node-auth-key"), key)));
            Wire::Grpc { path: request.path, headers, message: request.message }
        }
    }
}

impl Wire {
    fn read(&self) -> Incoming {
        match self {
            Self::Http(request) => http_binding::read_request(request.clone()).unwrap(),
            Self::Grpc { path, headers, message } => {
                grpc::read_request(path, headers, message.clone()).unwrap()
            }
        }
    }

    fn copy(&self) -> Self {
        match self {
            Self::Http(request) => Self::Http(request.clone()),
            Self::Grpc { path, headers, message } => {
                Self::Grpc { path, headers: headers.clone(), message: message.clone() }
            }
        }
    }
}

/// Takes what Core says through bytes.
fn through(link: Link, method: Method, outcome: &Result<Reply, Refusal>) -> Result<Reply, Failure> {
    match (link, outcome) {
        (Link::Http, outcome) => {
            let response = http_binding::response(method, outcome);
            http_binding::read_response(method, &response)
        }
        (Link::Grpc, Ok(reply)) => grpc::read_reply(method, &grpc::reply(method, reply)),
        (Link::Grpc, Err(refusal)) => Err(Failure::answered(FailureKind::Grpc(grpc::status(refusal).0))),
    }
}

impl World {
    pub(super) fn send(&mut self, origin: Origin, call: &Call, key: Option<&Secret>) {
        let faults = self.faults;
        let refused = |kind| Err(Failure::new(Delivery::No, kind));
        if origin.link == Link::Grpc && faults.is_grpc_blocked {
            return self.give_back(origin, refused(FailureKind::Grpc(GrpcCode::Unavailable)));
        }
        if faults.happens(faults.refused, &mut self.random) {
            return self.give_back(origin, refused(FailureKind::Refused));
        }
        if faults.happens(faults.gateway, &mut self.random) {
            let failure = gateway(origin.link, &mut self.random);
            return self.give_back(origin, Err(failure));
        }
        let placements = [KeyPlacement::Metadata, KeyPlacement::Field, KeyPlacement::Both];
        let wire = write(origin.link, call, key, placements[(self.seed % 3) as usize]);
        if faults.happens(faults.twice, &mut self.random) {
            let after = faults.delay(&mut self.random);
            self.plan(after, Due::Arrive { call: Box::new(wire.copy()), origin: None });
        }
        if faults.happens(faults.request, &mut self.random) {
            // Half of them are lost in silence: the agent's own deadline has to end them.
            if self.random.bool() {
                let lost = Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost);
                self.give_back(origin, Err(lost));
            }
            return;
        }
        let after = faults.delay(&mut self.random);
        self.plan(after, Due::Arrive { call: Box::new(wire), origin: Some(origin) });
    }

    pub(super) fn arrive(&mut self, call: &Wire, origin: Option<Origin>) {
        let now = self.now;
        let Some(core) = &mut self.core else {
            if let Some(origin) = origin {
                self.give_back(origin, Err(Failure::new(Delivery::No, FailureKind::Refused)));
            }
            return;
        };
        let incoming = call.read();
        let method = incoming.method;
        let id = core.handle_call(incoming, now);
        if let Some(origin) = origin {
            self.waiting.insert(id, (origin, method));
        }
    }

    pub(super) fn answer(&mut self, id: ExchangeId, outcome: &Result<Reply, Refusal>) {
        let Some((origin, method)) = self.waiting.remove(&id) else { return };
        let faults = self.faults;
        if faults.happens(faults.reply, &mut self.random) {
            if self.random.bool() {
                let lost = Failure::new(Delivery::Perhaps, FailureKind::ConnectionLost);
                self.give_back(origin, Err(lost));
            }
            return;
        }
        let outcome = through(origin.link, method, outcome);
        self.give_back(origin, outcome);
    }
}

/// Returns the answer of something between the two that has not passed the call on.
fn gateway(link: Link, random: &mut fastrand::Rng) -> Failure {
    let statuses = [429, 500, 502, 503, 504, 408];
    let codes = [GrpcCode::ResourceExhausted, GrpcCode::Unavailable, GrpcCode::Internal, GrpcCode::Unknown];
    Failure::answered(match link {
        Link::Http => FailureKind::Http(statuses[random.usize(..statuses.len())]),
        Link::Grpc => FailureKind::Grpc(codes[random.usize(..codes.len())]),
    })
}
