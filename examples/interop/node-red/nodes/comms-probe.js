// A Node-RED node set that gives tests a way to drive the runtime's own event bus
// and its public RED.comms.publish call over HTTP.
//
//   POST <admin root>/probe/publish  [{"topic": "...", "data": ..., "retain": true}, ...]
//   POST <admin root>/probe/emit     [{"event": "runtime-event", "payload": {...}}, ...]
//
// It exists only for tests; the endpoints take no authentication.
module.exports = function (RED) {
    const seen = [];
    const names = ["a", "multiplayer/echo", "custom/topic", "__proto__", "constructor"];
    if (RED.events) {
        names.forEach(function (n) {
            RED.events.on("comms:message:" + n, function (ev) {
                seen.push({ topic: n, data: ev.data, user: ev.user === undefined ? "(undefined)" : ev.user });
            });
        });
    }
    function list(body) { return Array.isArray(body) ? body : [body]; }
    RED.httpAdmin.post("/probe/publish", function (req, res) {
        list(req.body).forEach(function (m) {
            RED.comms.publish(m.topic, "undef" in m ? undefined : m.data, m.retain);
        });
        res.sendStatus(204);
    });
    RED.httpAdmin.post("/probe/emit", function (req, res) {
        list(req.body).forEach(function (m) { RED.events.emit(m.event, m.payload); });
        res.sendStatus(204);
    });
    RED.httpAdmin.get("/probe/seen", function (req, res) { res.json(seen); });
    function Probe(n) { RED.nodes.createNode(this, n); }
    RED.nodes.registerType("comms-probe", Probe);
};
