//! What happens between the machines: the private half of [`HubNetwork`].

use super::super::{ClientMachine, ClientWork, HubMachine, HubWork};
use super::{HubNetwork, Link, Parcel};
use crate::network::Lane;
use bytes::Bytes;

impl<C: ClientMachine, H: HubMachine> HubNetwork<C, H> {
    pub(super) fn links_of(&self, client: usize) -> Vec<u64> {
        self.links.iter().filter(|(_, link)| link.client == client).map(|(&number, _)| number).collect()
    }

    pub(super) fn next_client_output(&mut self) -> Option<(usize, C::Output)> {
        let mut clients = self.clients.iter_mut().enumerate();
        clients.find_map(|(index, client)| client.poll_output().map(|output| (index, output)))
    }

    pub(super) fn carry_out_for_hub(&mut self, work: HubWork<H::Connection, H::Event>) -> Option<H::Event> {
        match work {
            HubWork::Transmit { connection, bytes } => {
                if let Some(number) = self.link_of_hub(connection) {
                    self.transmit(number, bytes, Parcel::ToClient);
                }
            }
            HubWork::Disconnect(connection) => {
                if let Some(number) = self.link_of_hub(connection) {
                    self.send(number, Parcel::EndForClient);
                    self.close_at_hub(number);
                }
            }
            HubWork::Event(event) => return Some(event),
        }
        None
    }

    pub(super) fn carry_out_for_client(
        &mut self,
        client: usize,
        work: ClientWork<C::Connection, C::Event>,
    ) -> Option<C::Event> {
        match work {
            ClientWork::Connect(connection) => self.dial(client, connection),
            ClientWork::Transmit { connection, bytes } => {
                if let Some(number) = self.link_of_client(client, connection) {
                    self.transmit(number, bytes, Parcel::ToHub);
                }
            }
            ClientWork::Disconnect(connection) => {
                if let Some(number) = self.link_of_client(client, connection) {
                    self.send(number, Parcel::EndForHub);
                    self.close_at_client(number);
                }
            }
            ClientWork::Event(event) => return Some(event),
        }
        None
    }

    fn dial(&mut self, client: usize, client_id: C::Connection) {
        let fresh = self.used.insert((client, client_id));
        assert!(fresh, "rule: ids are never reused; client {client} opened {client_id:?} twice");
        self.dials.push((self.now, client, client_id));
        let number = self.next_link;
        self.next_link += 1;
        let link = Link {
            client,
            client_id,
            connected: false,
            client_open: true,
            hub_id: None,
            stalled: false,
            to_client: Lane::default(),
            to_hub: Lane::default(),
        };
        self.links.insert(number, link);
        self.send(number, Parcel::Dial);
    }

    fn transmit(&mut self, number: u64, bytes: Bytes, parcel: fn(Bytes) -> Parcel) {
        if self.random.chance(self.conditions.loss_per_mille) {
            return self.cut_link(number);
        }
        for piece in self.random.cut(bytes, &self.conditions) {
            self.send(number, parcel(piece));
        }
    }

    fn send(&mut self, number: u64, parcel: Parcel) {
        if let Some(link) = self.links.get_mut(&number).filter(|link| !link.stalled) {
            let lane = if parcel.is_for_hub() { &mut link.to_hub } else { &mut link.to_client };
            let at = lane.arrival(self.now, &self.conditions, &mut self.random);
            self.in_flight.push(at, (number, parcel));
        }
    }

    pub(super) fn deliver(&mut self, number: u64, parcel: Parcel) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let (client, id, now) = (link.client, link.client_id, self.now);
        match (parcel, link.client_open, link.hub_id) {
            (Parcel::Dial, true, _) => {
                if self.up {
                    link.hub_id = Some(self.hub.accept(now));
                    self.send(number, Parcel::Accepted);
                } else {
                    self.send(number, Parcel::Refused);
                }
            }
            // The client gave up before it knew; the hub knows no more of it either.
            (Parcel::Dial | Parcel::Refused | Parcel::EndForClient, false, _) => {
                self.links.remove(&number);
            }
            (Parcel::Accepted, true, _) => {
                link.connected = true;
                self.clients[client].handle_connected(id, now);
            }
            (Parcel::Refused, true, _) => {
                self.links.remove(&number);
                self.clients[client].handle_connect_failed(id, now);
            }
            (Parcel::ToHub(bytes), _, Some(hub_id)) => self.hub.handle_bytes(hub_id, &bytes, now),
            (Parcel::ToClient(bytes), true, _) => self.clients[client].handle_bytes(id, &bytes, now),
            (Parcel::EndForHub, _, Some(hub_id)) => {
                self.close_at_hub(number);
                self.hub.handle_disconnect(hub_id, now);
            }
            (Parcel::EndForClient, true, _) => {
                self.close_at_client(number);
                self.clients[client].handle_disconnect(id, now);
            }
            (Parcel::Accepted | Parcel::ToClient(_), false, _)
            | (Parcel::ToHub(_) | Parcel::EndForHub, _, None) => {}
        }
    }

    pub(super) fn cut_link(&mut self, number: u64) {
        self.in_flight.retain(|(other, _)| *other != number);
        let Some(link) = self.links.remove(&number) else { return };
        if link.client_open && link.connected {
            self.clients[link.client].handle_disconnect(link.client_id, self.now);
        } else if link.client_open {
            self.clients[link.client].handle_connect_failed(link.client_id, self.now);
        }
        if let Some(hub_id) = link.hub_id {
            self.hub.handle_disconnect(hub_id, self.now);
        }
    }

    fn close_at_client(&mut self, number: u64) {
        if let Some(link) = self.links.get_mut(&number) {
            link.client_open = false;
            // A link that was never accepted stays until its dial arrives.
            if link.hub_id.is_none() && link.connected {
                self.links.remove(&number);
            }
        }
    }

    fn close_at_hub(&mut self, number: u64) {
        if let Some(link) = self.links.get_mut(&number) {
            link.hub_id = None;
            if !link.client_open {
                self.links.remove(&number);
            }
        }
    }

    fn link_of_client(&self, client: usize, id: C::Connection) -> Option<u64> {
        let is_it = |link: &Link<_, _>| link.client == client && link.client_id == id && link.client_open;
        self.links.iter().find(|(_, link)| is_it(link)).map(|(&number, _)| number)
    }

    fn link_of_hub(&self, id: H::Connection) -> Option<u64> {
        self.links.iter().find(|(_, link)| link.hub_id == Some(id)).map(|(&number, _)| number)
    }
}
