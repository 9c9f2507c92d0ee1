"""Our agent's life against the foreign Core: faults before and after Core took a call, gRPC away, a crash of the agent, a
proxy that is started anew. In the end Core has counted what the counters say, no more and no less."""

import random
import time
from datetime import datetime, timezone

from checks import equal, that
from gate import Gate
from programs import Program

USERS = {"u12.l3.s45.i6": (12, 300, 6), "u13.l4.s46.i6": (13, 301, 6), "u14.l5.s47.i6": (14, None, 6)}
TELEMT = {"u12.l3.s45.i7": (12, 300, 7)}
OUTBOUNDS = ("direct", "warp")
# Core's fixture gives its first new node this id.
NODE = 3
FIXTURE = {
    "nodeProtocols": [{"id": 6, "nodeId": NODE}, {"id": 7, "nodeId": NODE}],
    "outbounds": [{"nodeId": NODE, "tag": tag} for tag in OUTBOUNDS],
}
FAST = {
    "--usage-period": "250ms", "--usage-spread": "0s", "--heartbeat-period": "300ms", "--stats-period": "300ms",
    "--online-period": "500ms", "--probe-period": "1s", "--min-backoff": "50ms", "--max-backoff": "400ms",
}
# UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN, RESOURCE_EXHAUSTED; nobody can tell from most whether Core took the call.
FAULTS = (
    [{"method": "ReportUsage", "code": code, "when": when} for code in (14, 4, 13, 2) for when in ("before", "after")]
    + [{"method": "ReportUsage", "code": 8, "when": "before"}]
    # What nobody can tell of outbounds is not sent again, as Core could not recognise it.
    + [{"method": "ReportOutboundUsage", "code": 8, "when": "before"}]
    + [{"method": "ReportOutboundUsage", "code": 4, "when": "after"}]
    + [{"method": "Heartbeat", "code": 14}, {"method": "ReportNodeStats", "code": 13}, {"method": "ReportOnlineUsers", "code": 4}]
)
HTTP_FAULTS = [{"path": "/node/usage", "status": status, "when": when} for status in (500, 503) for when in ("after", "before")]


class Proxies:
    """Counters of made-up proxies, and what they have counted in all."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.total = {}
        self.restart()

    def restart(self):
        self.started_at = instant()
        self.counts = {}

    def grow(self, outbounds=True):
        for kind, names in (("user", USERS), ("telemt", TELEMT), ("outbound", OUTBOUNDS if outbounds else ())):
            for name in names:
                for direction in ("up", "down"):
                    more = self.random.choice((0, self.random.randint(1, 10**6)))
                    for table in (self.counts, self.total):
                        table[kind, name, direction] = table.get((kind, name, direction), 0) + more

    def lines(self):
        link = {"up": "uplink", "down": "downlink"}
        stats = [{"name": f"{kind}>>>{name}>>>traffic>>>{link[direction]}", "value": value}
                 for (kind, name, direction), value in self.counts.items() if kind != "telemt"]
        users = [{"name": name, "fromClient": self.counts.get(("telemt", name, "up"), 0),
                  "toClient": self.counts.get(("telemt", name, "down"), 0)} for name in TELEMT]
        begun = {"startedAt": self.started_at, "startedByAgent": True}
        return [{"proxy": "xray", **begun, "stats": stats}, {"proxy": "mtproto", **begun, "users": users}]

    def expected(self):
        users, outbounds = {}, {}
        for (kind, name, direction), value in self.total.items():
            if kind == "outbound":
                outbounds[name, direction] = value
            else:
                owner = {**USERS, **TELEMT}[name]
                users[owner, direction] = users.get((owner, direction), 0) + value
        return users, outbounds


def counted(state):
    users, outbounds = {}, {}
    for row in state["usageRows"]:
        owner = (row["userId"], row["subscriptionId"], row["nodeProtocolId"])
        for direction, name in (("up", "bytesUp"), ("down", "bytesDown")):
            users[owner, direction] = users.get((owner, direction), 0) + int(row[name])
    for row in state["outbounds"].values():
        outbounds[row["tag"], "up"], outbounds[row["tag"], "down"] = int(row["bytesUp"]), int(row["bytesDown"])
    return users, outbounds


def instant():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Life:
    def __init__(self, core, binaries, work, seed):
        self.core, self.binaries, self.work = core, binaries, work
        self.proxies = Proxies(seed)
        self.gate = Gate(core.grpc)
        self.agent = None

    def start_agent(self, code=None):
        command = [self.binaries / "core-agent", "--http", f"http://{self.core.http}", "--grpc", f"http://{self.gate}",
                   "--state", self.work / "agent.json", "--name", "interop", "--region", "here", "--ip", "127.0.0.1",
                   "--port", "3100", "--insecure", "--counters", "-", "--json"]
        for flag, value in FAST.items():
            command += [flag, value]
        command += ["--code", code] if code else []
        self.agent = Program(command, self.work / "core-agent.log", feed=True)

    def count(self, seconds, outbounds=True):
        """Lets the counters grow for a while; those of users alone where calls may be cut off, as nobody can tell what becomes
        of outbounds then, and Core would not recognise them."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.proxies.grow(outbounds)
            self.tell()
            time.sleep(0.05)

    def tell(self):
        for line in self.proxies.lines():
            self.agent.feed(line)
        self.core.ask("POST", "/clock", {"at": instant()})

    def settle(self, limit=10):
        """Waits until Core has counted all."""
        deadline = time.monotonic() + limit
        while self.wrong() and time.monotonic() < deadline:
            self.tell()
            time.sleep(0.1)
        self.compare()

    def wrong(self):
        """Returns the totals that differ: Core's, and the counters'."""
        differences = {}
        for got, expected in zip(counted(self.core.state()), self.proxies.expected()):
            keys = {key for table in (got, expected) for key, value in table.items() if value != 0}
            differences |= {key: (got.get(key, 0), expected.get(key, 0)) for key in keys if got.get(key) != expected.get(key)}
        return differences

    def compare(self):
        equal(self.wrong(), {}, "totals that differ (Core's, the counters')")


def check(tally, core, binaries, work, seed=1):
    life = Life(core, binaries, work, seed)
    core.ask("POST", "/reset", {**FIXTURE, "clock": instant()})
    try:
        steps(tally, life)
    finally:
        if life.agent is not None:
            life.agent.kill()


def steps(tally, life):
    core = life.core
    with tally.check("life: it registers, fetches, applies and confirms"):
        life.start_agent("CODE-ONE")
        life.agent.event("applied")
        wait_for("the node to be synced", lambda: core.state()["nodes"][str(NODE)]["syncStatus"] == "synced")
        node = core.state()["nodes"][str(NODE)]
        equal((node["name"], node["region"], node["port"]), ("interop", "here", 3100), "what was registered")
    with tally.check("life: Core counts what the counters say"):
        life.count(1.5)
        life.settle()
    for fault in FAULTS:
        name = f"{fault['method']} fails with code {fault['code']} {fault.get('when', 'before')} it is taken"
        with tally.check(f"life: {name}"):
            core.ask("POST", "/fault", fault)
            life.count(0.6)
            life.settle()
    with tally.check("life: a batch that was sent twice was counted once"):
        that(core.state()["replays"] > 0, "Core has seen a batch twice")
    with tally.check("life: where gRPC is away HTTP stands in, and may fail as well"):
        shut_at = len(life.agent.events)
        life.gate.shut()
        for fault in HTTP_FAULTS:
            core.ask("POST", "/fault", fault)
        life.count(2, outbounds=False)
        life.agent.wait("change to HTTP", lambda event: event.get("link") == "fallback")
        life.settle()
    with tally.check("life: gRPC comes back, and is taken again"):
        life.gate.open()
        life.agent.wait("change to gRPC", lambda event: event.get("link") == "grpc", since=shut_at)
        life.count(1)
        life.settle()
    with tally.check("life: a proxy is started anew"):
        life.proxies.restart()
        life.count(1)
        life.settle()
    with tally.check("life: the agent crashes and comes back with its key"):
        life.count(0.4, outbounds=False)
        that(life.agent.kill() != 0, "it was killed")
        life.start_agent()
        life.count(1)
        life.settle()
        equal(list(core.state()["nodes"]), ["1", "2", str(NODE)], "nodes")
    with tally.check("life: a new configuration is applied"):
        core.ask("POST", "/publish", {})
        revision = core.state()["revision"]
        wait_for("the new revision", lambda: core.state()["nodes"][str(NODE)]["revision"] == revision)
    with tally.check("life: statistics and online users come in"):
        state = core.state()
        that(state["stats"][str(NODE)]["system"]["ramTotal"] > 0, "Core knows this machine's memory")
    with tally.check("life: at its end it sends what is left"):
        life.count(0.4)
        time.sleep(0.2)  # for the last line to be read
        equal(life.agent.stop(), 0, "exit status")
        life.compare()


def wait_for(what, holds, limit=20):
    deadline = time.monotonic() + limit
    while not holds():
        if time.monotonic() >= deadline:
            raise AssertionError(f"no end of waiting for {what}")
        time.sleep(0.05)
