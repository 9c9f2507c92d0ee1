// Our client, as the program nodered-watch, against a real Node-RED.
const fs = require("fs");
const path = require("path");
const { check, equal, that } = require("./checks");
const flows = require("./flows");
const kinds = require("./kinds");
const { Program } = require("./programs");
const { request, start } = require("./start");

const STATUS = "status/aaaa0000000000b2";
const SHOWN = { fill: "green", shape: "dot", text: "ready" };

function comms(inst, root = "/") { return `ws://127.0.0.1:${inst.port}${root}comms`; }

function watch(inst, ...args) { return new Program("nodered-watch", ["--url", comms(inst), ...args]); }

function passwordFile(name) {
    const file = path.join(process.env.INTEROP_WORK, `${name}.password`);
    fs.writeFileSync(file, `${name}-pw\n`, { mode: 0o600 });
    return ["--user", name, "--password-file", file];
}

async function token(inst, name, scope) {
    const form = `client_id=node-red-admin&grant_type=password&scope=${scope}&username=${name}&password=${name}-pw`;
    const answer = await request(inst, "POST", "/auth/token", form);
    equal(answer.status, 200, "status of /auth/token");
    return answer.json.access_token;
}

// Runs `work` with a program, and ends it.
async function withProgram(program, work) {
    try { return await work(program); } finally { await program.stop(); }
}

async function withNodeRed(configuration, options, work) {
    const inst = await start(configuration, options);
    try { return await work(inst); } finally { await inst.stop(); }
}

async function retained(program, options) {
    await program.message("notification/runtime-state", (data) => data.state === "start", options);
    await program.message("notification/runtime-deploy", (data) => /^[0-9a-f]{64}$/.test(data.revision), options);
    await program.message(STATUS, (data, event) => {
        equal([data, event.kind], [SHOWN, "status"], "the status");
        return true;
    }, options);
}

// Deploys, and waits for what a runtime tells of it.
async function deploys(inst, program, list, headers) {
    const from = program.mark();
    const answer = await request(inst, "POST", "/flows", { flows: list },
        { "Node-RED-API-Version": "v2", ...headers });
    equal(answer.status, 200, "status of the deploy");
    await program.message("notification/runtime-deploy", (data) => data.revision === answer.json.rev, { from });
    const states = program.events.slice(from).filter((event) => event.topic === "notification/runtime-state");
    equal(states.map((event) => event.data),
        [{ state: "stop", deploy: true }, { state: "start", deploy: true }], "states around the deploy");
    that(states.every((event) => event.kind === "notification"), "states are notifications");
}

async function openRuntime() {
    const options = { flows: flows.statusFlow("ready") };
    await withNodeRed("open", options, async (inst) => {
        await settled(inst);
        await withProgram(watch(inst, "--reconnect-first", "500ms"), async (program) => {
            await check("open: no token is wanted, and none is sent", async () => {
                await program.event({ event: "discovered", protected: false });
                await program.event({ event: "ready" });
                that(!program.has({ event: "authenticated" }), "nothing was authenticated");
            });
            await check("open: what is retained comes after subscribing", () => retained(program));
            await check("open: a deploy is told", () => deploys(inst, program, flows.statusFlow("again")));
            await check("open: a live status is told", () => program.message(STATUS, (data) => data.text === "again"));
            await debugKinds(inst, program);
            await check("open: a restart of the runtime leads to another connection and the same subscriptions",
                () => restart(inst, program));
        });
        await check("open: a path without an answer is given up in time", async () => {
            const inst2 = await start("open");
            try {
                const program = new Program("nodered-watch", ["--url", comms(inst2, "/nowhere/"),
                    "--connect-timeout", "1s", "--attempts", "2", "--reconnect-first", "100ms"]);
                equal((await program.ended()).code, 1, "exit status");
                that(program.has({ event: "closed", reason: "no connection came about in time" }), "it timed out");
            } finally { await inst2.stop(); }
        });
    });
}

// The flow shows its status a moment after the start.
async function settled(inst) {
    await withProgram(watch(inst), (program) => program.message(STATUS, () => true, { ms: 15000 }));
}

async function restart(inst, program) {
    await deploys(inst, program, flows.statusFlow("before"));
    await program.message(STATUS, (data) => data.text === "before");
    const from = program.mark();
    await inst.stop();
    await program.event({ event: "closed" }, { from });
    await program.event({ event: "reconnecting", in_ms: 500 }, { from });
    const again = await start("open", { port: inst.port, userDir: inst.userDir });
    try {
        await program.event({ event: "ready" }, { from, ms: 15000 });
        await program.message("notification/runtime-deploy", () => true, { from });
        await program.message(STATUS, (data) => data.text === "before", { from });
        // Live messages come too.
        await deploys(again, program, flows.statusFlow("after"));
        await program.message(STATUS, (data) => data.text === "after", { from });
    } finally { await again.stop(); }
}

// Every kind of value, and what the recording of the same version shows of it.
async function debugKinds(inst, program) {
    const recorded = recordedKinds();
    const from = program.mark();
    const wanted = Object.keys(flows.KINDS).filter((name) => recorded.has(name));
    await check(`open: debug messages of ${wanted.length} kinds arrive`, async () => {
        await deploys(inst, program, flows.kindsFlow());
        const last = wanted[wanted.length - 1];
        await program.message("debug", (data) => data.topic === last, { from, ms: 20000 });
        const arrived = program.events.slice(from).filter((event) => event.topic === "debug");
        equal(arrived.map((event) => event.data.topic).filter(Boolean), wanted, "kinds");
    });
    const message = (name) => program.events.slice(from).find((event) =>
        event.topic === "debug" && event.data.topic === name);
    for (const name of wanted) {
        await check(`open: debug ${name} is as recorded and decoded`, async () => {
            const got = message(name);
            that(got, "it arrived");
            equal(plain(got.data), plain(recorded.get(name)), "message");
            equal(got.kind, "debug", "kind");
            equal(typeof got.value, "string", "type of the decoded value");
            const isRight = kinds[name] || (() => got.value.length > 0);
            that(isRight(got.value), `decoded value is shown as ${got.value.slice(0, 300)} … ${got.value.slice(-100)}`);
        });
    }
}

function recordedKinds() {
    const file = path.join(__dirname, "../../../crates/nodered-comms/tests/captures/nr4.1.15-debug-kinds.jsonl");
    const rows = fs.readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
    const messages = rows.filter((row) => row.dir === "rx").flatMap((row) => JSON.parse(row.text));
    return new Map(messages.filter((message) => message.topic === "debug" && message.data.topic)
        .map((message) => [message.data.topic, message.data]));
}

// Stacks hold paths and places, which are those of a machine; the order of members is that of the program that printed.
function plain(data) {
    const sorted = (_, value) => (value && typeof value === "object" && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort()) : value);
    const { format, msg, property, name } = data;
    const text = JSON.stringify({ format, msg, property, name }, sorted);
    return text.replace(/\\+n    at .*?(?=\\*")/g, "\\n    at …");
}

async function authRuntime() {
    await withNodeRed("auth", { flows: flows.statusFlow("ready") }, async (inst) => {
        await withProgram(watch(inst, ...passwordFile("admin")), async (program) => {
            await check("auth: a token is wanted, fetched and accepted, then subscriptions are sent", async () => {
                await program.event({ event: "ready" });
                const names = program.events.map((event) => event.event);
                const order = ["discovered", "logged_in", "connected", "authenticated", "ready"];
                equal(names.filter((name) => order.includes(name)), order, "events");
                that(program.has({ event: "discovered", protected: true }), "it is protected");
            });
            await check("auth: what is retained comes after subscribing", () => retained(program));
            await check("auth: a deploy is told", async () => {
                const bearer = await token(inst, "admin", "*");
                await deploys(inst, program, flows.statusFlow("again"), { Authorization: `Bearer ${bearer}` });
            });
        });
        await check("auth: a reader may listen", async () => {
            await withProgram(watch(inst, ...passwordFile("reader"), "--scope", "read"), async (program) => {
                await program.event({ event: "authenticated" });
                await program.message("notification/runtime-state");
            });
        });
        await check("auth: a token by itself will do", async () => {
            const known = await token(inst, "admin", "*");
            await withProgram(watch(inst, "--token", known), async (program) => {
                await program.event({ event: "authenticated" });
                await program.message("notification/runtime-state");
                that(!program.has({ event: "logged_in" }), "no other one was fetched");
            });
        });
        const refused = async (args, problem) => {
            const program = watch(inst, ...args);
            const found = await program.event({ event: "login_needed" });
            that(found.error.includes(problem), `${found.error} has ${problem}`);
            equal((await program.ended()).code, 1, "exit status");
        };
        await check("auth: who has no credentials is told so", () => refused([], "wants a login"));
        await check("auth: a wrong token is refused", () => refused(["--token", "wrong"], "refuses the token"));
        await check("auth: a user who may not listen is refused",
            () => refused([...passwordFile("narrow"), "--scope", "flows.read"], "refuses the token"));
        await check("auth: a wrong password is refused", () => refused([...passwordFile("nobody")], "refuses the login"));
    });
}

async function authDefaultRuntime() {
    await withNodeRed("auth-default", { flows: flows.statusFlow("ready") }, async (inst) => {
        await check("auth-default: who brings no token is let in by the first subscription", async () => {
            await withProgram(watch(inst), async (program) => {
                await program.event({ event: "discovered", protected: true });
                await program.event({ event: "ready" });
                await retained(program);
                that(!program.has({ event: "authenticated" }), "nothing was authenticated");
            });
        });
        await check("auth-default: a user is let in as such", async () => {
            await withProgram(watch(inst, ...passwordFile("admin")), async (program) => {
                await program.event({ event: "authenticated" });
                await retained(program);
            });
        });
        await check("auth-default: a bad token is refused all the same", async () => {
            const program = watch(inst, "--token", "wrong");
            await program.event({ event: "login_needed" });
            equal((await program.ended()).code, 1, "exit status");
        });
    });
}

async function authExpiryRuntime() {
    await withNodeRed("auth-expiry", {}, async (inst) => {
        const known = await token(inst, "admin", "*");
        const byToken = watch(inst, "--token", known);
        const byPassword = watch(inst, ...passwordFile("admin"));
        try {
            await check("auth-expiry: a session that ends is begun anew, subscriptions included", async () => {
                await byPassword.event({ event: "ready" });
                const from = byPassword.mark();
                await byPassword.event({ event: "closed", reason: "the runtime refuses the token" },
                    { from, ms: 20000 });
                for (const event of ["logged_in", "authenticated", "ready"]) {
                    await byPassword.event({ event }, { from });
                }
                await byPassword.message("notification/runtime-deploy", () => true, { from });
            });
            await check("auth-expiry: without a password a login is needed", async () => {
                that(byToken.has({ event: "authenticated" }), "the token was good");
                const found = await byToken.event({ event: "login_needed" }, { ms: 20000 });
                that(found.error.includes("expired"), found.error);
                equal((await byToken.ended()).code, 1, "exit status");
            });
        } finally { await Promise.all([byToken.stop(), byPassword.stop()]); }
    });
}

async function keepaliveRuntime() {
    await withNodeRed("keepalive", {}, async (inst) => {
        await withProgram(watch(inst, "--liveness-timeout", "2s", "--reconnect-first", "500ms"), async (program) => {
            await check("keepalive: heartbeats come, all of the same value", async () => {
                const beats = await program.until("four heartbeats", (events) => {
                    const beats = events.filter((event) => event.event === "heartbeat");
                    return beats.length >= 4 && beats;
                });
                equal(beats.filter((beat) => beat.changed).length, 0, "changes");
                equal(new Set(beats.map((beat) => beat.time)).size, 1, "values");
            });
            await check("keepalive: a runtime that falls silent is given up, and found again", async () => {
                const from = program.mark();
                inst.child.kill("SIGSTOP");
                try {
                    const reason = "the runtime was silent for too long";
                    await program.event({ event: "closed", reason }, { from });
                } finally { inst.child.kill("SIGCONT"); }
                await program.event({ event: "ready" }, { from });
                await program.event({ event: "heartbeat" }, { from });
            });
        });
    });
}

async function adminrootRuntime() {
    await withNodeRed("adminroot", { flows: flows.statusFlow("ready") }, async (inst) => {
        for (const url of [comms(inst, "/admin/"), `http://127.0.0.1:${inst.port}/admin`]) {
            await check(`adminroot: ${url.replace(/:\d+/, ":PORT")} is found`, async () => {
                await withProgram(new Program("nodered-watch", ["--url", url]), async (program) => {
                    await program.event({ event: "discovered", protected: false });
                    await retained(program);
                });
            });
        }
    });
}

module.exports = {
    parts: {
        open: openRuntime, auth: authRuntime, "auth-default": authDefaultRuntime, "auth-expiry": authExpiryRuntime,
        keepalive: keepaliveRuntime, adminroot: adminrootRuntime,
    },
};
