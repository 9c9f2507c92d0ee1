// An editor's side against our runtime, as the program nodered-runtime: the packets that an editor sends, and the
// frames that it gets.
const fs = require("fs");
const http = require("http");
const path = require("path");
const { check, equal, that } = require("./checks");
const { Program } = require("./programs");
const { EDITOR_TOPICS, Socket } = require("./sockets");
const { request } = require("./start");

const STATE = { topic: "notification/runtime-state", data: { state: "start" } };
const DEPLOY = { topic: "notification/runtime-deploy", data: { revision: "0".repeat(64) } };
const STATUS = { topic: "status/n1", data: { fill: "green", shape: "dot", text: "on" } };
const RETAINED = [{ ...STATE, retain: true }, { ...DEPLOY, retain: true }, { ...STATUS, retain: true }];
// Longer than a batch: what has not come by then does not come.
const QUIET = 250;

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Runs `work` with a runtime that has something retained; `connect` opens an editor's socket.
async function withRuntime(args, work) {
    const program = new Program("nodered-runtime", ["--listen", "127.0.0.1:0", ...args]);
    try {
        const { addr } = await program.event({ event: "listening" });
        const port = Number(addr.split(":").pop());
        await program.typed(...RETAINED);
        await work({ program, port, connect: (options) => Socket.connect(`ws://127.0.0.1:${port}/comms`, options) });
    } finally { await program.stop(); }
}

function users() {
    const file = path.join(process.env.INTEROP_WORK, "users.json");
    const list = [["admin", "*"], ["reader", "read"], ["narrow", ["flows.read"]]];
    const users = list.map(([username, permissions]) => ({ username, password: `${username}-pw`, permissions }));
    fs.writeFileSync(file, JSON.stringify(users), { mode: 0o600 });
    return ["--user-file", file];
}

async function login(port, name, scope = "*") {
    const form = `client_id=node-red-admin&grant_type=password&scope=${scope}&username=${name}&password=${name}-pw`;
    const answer = await request({ port }, "POST", "/auth/token", form);
    equal([answer.status, answer.json.token_type], [200, "Bearer"], "answer to a login");
    return answer.json.access_token;
}

// The socket is closed by the runtime, without a code.
async function closed(socket) {
    await socket.until("close", () => socket.closed);
    equal(socket.closed.code, 1005, "close code");
}

async function openEditor() {
    await withRuntime(["--heartbeat", "400ms"], async ({ program, port, connect }) => {
        await check("runtime open: discovery says that no token is wanted", async () => {
            const answer = await request({ port }, "GET", "/auth/login");
            equal([answer.status, answer.json], [200, {}], "answer");
        });
        const editor = await connect();
        await check("runtime open: the editor's subscriptions bring back what is retained, in order", async () => {
            EDITOR_TOPICS.forEach((topic) => editor.send({ subscribe: topic }));
            await editor.until("the status", () => editor.messages().some((message) => message.topic === STATUS.topic));
            const messages = editor.messages().filter((message) => message.topic !== "hb");
            equal(messages, [DEPLOY, STATE, DEPLOY, STATUS], "messages");
        });
        await check("runtime open: a client message is handed to the application and to nobody else", async () => {
            const other = await connect();
            editor.send({ topic: "multiplayer/connect", data: { session: "a1b2c3" } });
            const event = await program.event({ event: "message", topic: "multiplayer/connect" });
            equal(event.data, { session: "a1b2c3" }, "data");
            await pause(QUIET);
            equal(other.messages().filter((message) => message.topic !== "hb"), [], "messages of the other editor");
            other.close();
        });
        await check("runtime open: 175 messages come in order, at most 50 in a frame", async () => {
            const before = editor.frames.length;
            const lines = Array.from({ length: 175 }, (_, i) => ({ topic: "burst", data: i + 1 }));
            program.type(...lines);
            const burst = () => editor.messages().filter((message) => message.topic === "burst");
            await editor.until("175 messages", () => burst().length >= 175);
            equal(burst().map((message) => message.data), lines.map((line) => line.data), "order");
            const frames = editor.values().slice(before);
            that(frames.every((frame) => Array.isArray(frame) && frame.length <= 50), "at most 50 a frame");
            that(frames.length >= 4, "four frames or more");
            that(editor.frames.every((frame) => !frame.isBinary), "text frames only");
        });
        await check("runtime open: an unsubscribed live message and a falsy one", async () => {
            const before = editor.frames.length;
            program.type({ topic: "any/topic", data: { n: 1 } });
            await editor.until("any/topic", () => editor.messages().some((message) => message.topic === "any/topic"));
            program.type({ topic: "falsy", data: 0 });
            await editor.until("an empty frame", () => editor.frames.slice(before).some((frame) => frame.text === "[]"));
        });
        await check("runtime open: heartbeats come, all of the same value", async () => {
            const beats = () => editor.messages().filter((message) => message.topic === "hb");
            await editor.until("three heartbeats", () => beats().length >= 3);
            equal(new Set(beats().map((beat) => beat.data)).size, 1, "values");
            that(beats()[0].data > 1.6e12, "a time in ms");
        });
        await check("runtime open: odd frames do no harm", () => oddFrames(connect));
        await check("runtime open: a slash too many is not served", async () => {
            await refusedUpgrade(port, "/comms/");
        });
        editor.close();
    });
}

async function oddFrames(connect) {
    const odd = ["not json", "", "null", "[]", "{}", "5", "true", "\"text\"", "{\"subscribe\":\"\"}", "{\"subscribe\":0}",
        "{\"subscribe\":5}", "{\"subscribe\":[\"a\"]}", "{\"subscribe\":{}}", "{\"subscribe\":\"{2}\"}", "{\"auth\":\"x\"}",
        "{\"auth\":{}}", "{\"topic\":5}", "{\"topic\":{}}", "{\"topic\":\"multiplayer/connect\"}", "{\"unsubscribe\":\"a\"}",
        "[{\"subscribe\":\"status/#\"}]", "\ufeff{\"subscribe\":\"status/#\"}", `{"subscribe":"${"+".repeat(100000)}"}`];
    const editor = await connect();
    odd.forEach((frame) => editor.send(frame));
    await pause(QUIET);
    equal(editor.messages().filter((message) => message.topic !== "hb"), [], "messages");
    editor.send(" \n{\"subscribe\":\"nomatch\",\"subscribe\":\"status/#\"}\n");
    await editor.until("the status", () => editor.messages().some((message) => message.topic === STATUS.topic));
    editor.socket.send(Buffer.from("{\"subscribe\":\"status/n1\"}"), { binary: true });
    const statuses = () => editor.messages().filter((message) => message.topic === STATUS.topic);
    await editor.until("the status again", () => statuses().length === 2);
    editor.close();
}

// A path that is none of the comms' gives no connection: an error, or no answer.
function refusedUpgrade(port, where) {
    return new Promise((resolve, reject) => {
        const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==" };
        const req = http.request({ host: "127.0.0.1", port, path: where, headers }, (res) => {
            res.destroy();
            resolve();
        });
        req.on("upgrade", (res, socket) => { socket.destroy(); reject(new Error(`${where} was upgraded`)); });
        req.on("error", () => resolve());
        req.setTimeout(1000, () => req.destroy(new Error("no answer")));
        req.end();
    });
}

async function authEditor() {
    await withRuntime(users(), async ({ program, port, connect }) => {
        await check("runtime auth: discovery says that a token is wanted", async () => {
            const answer = await request({ port }, "GET", "/auth/login");
            equal(answer.status, 200, "status");
            equal(answer.json.type, "credentials", "type");
            that(Array.isArray(answer.json.prompts), "there are prompts");
        });
        await check("runtime auth: a good token is answered by itself, then subscriptions work", async () => {
            const editor = await connect();
            editor.send({ auth: await login(port, "admin") });
            await editor.until("an answer", () => editor.frames.length === 1);
            equal(editor.frames[0].text, "{\"auth\":\"ok\"}", "answer");
            EDITOR_TOPICS.forEach((topic) => editor.send({ subscribe: topic }));
            equal(await editor.got(4), [DEPLOY, STATE, DEPLOY, STATUS], "messages");
            editor.close();
        });
        await check("runtime auth: a subscription right behind the token is not taken for a first packet", async () => {
            const known = await login(port, "reader", "read");
            for (let i = 0; i < 10; i += 1) {
                const editor = await connect();
                editor.send({ auth: known });
                editor.send({ subscribe: "status/#" });
                equal(await editor.got(1), [STATUS], "messages");
                equal(editor.frames[0].text, "{\"auth\":\"ok\"}", "answer");
                editor.close();
            }
        });
        for (const [what, packet] of [["a bad token", { auth: "bad" }], ["a number as token", { auth: 5 }],
            ["a list as token", { auth: ["x"] }], ["no token", { subscribe: "status/#" }], ["an empty token", { auth: "" }]]) {
            await check(`runtime auth: ${what} is refused`, async () => {
                const editor = await connect();
                editor.send(packet);
                await closed(editor);
                equal(editor.frames.map((frame) => frame.text), ["{\"auth\":\"fail\"}"], "frames");
            });
        }
        await check("runtime auth: a user who may not listen is refused", async () => {
            const editor = await connect();
            editor.send({ auth: await login(port, "narrow", "flows.read") });
            await closed(editor);
            equal(editor.values(), [{ auth: "fail" }], "frames");
        });
        await check("runtime auth: who waits gets nothing, and may still present a token", async () => {
            const editor = await connect();
            editor.send("not json");
            await program.typed({ topic: "live", data: 1 });
            await pause(QUIET);
            equal(editor.frames.length, 0, "frames");
            editor.send({ auth: await login(port, "admin") });
            await editor.until("an answer", () => editor.frames.length === 1);
            program.type({ topic: "live", data: 2 });
            equal(await editor.got(1), [{ topic: "live", data: 2 }], "messages");
            editor.close();
        });
    });
    await withRuntime([...users(), "--default-user", "read"], async ({ program, port, connect }) => {
        await check("runtime auth-default: let in, then logged in, and every message once", async () => {
            const editor = await connect();
            editor.send({ subscribe: "status/#" });
            equal(await editor.got(1), [STATUS], "messages");
            editor.send({ auth: await login(port, "admin") });
            await editor.until("an answer", () => editor.values().some((value) => value.auth === "ok"));
            program.type({ topic: "live", data: 1 });
            await editor.got(2);
            await pause(QUIET);
            equal(editor.messages(), [STATUS, { topic: "live", data: 1 }], "messages");
            editor.close();
        });
    });
    const short = ["--session-life", "1s", "--expiry-grace", "500ms"];
    await withRuntime([...users(), ...short], async ({ port, connect }) => {
        await check("runtime auth-expiry: the end of a session is told, then the connection ends", async () => {
            const editor = await connect();
            const known = await login(port, "admin");
            editor.send({ auth: known });
            await closed(editor);
            equal(editor.values(), [{ auth: "ok" }, { auth: "fail" }], "frames");
            const again = await connect();
            again.send({ auth: known });
            await closed(again);
            equal(again.values(), [{ auth: "fail" }], "frames of a second connection");
        });
    });
    await withRuntime(["--era", "document"], async ({ connect }) => {
        await check("runtime document: every message by itself", async () => {
            const editor = await connect();
            editor.send({ subscribe: "+/#" });
            await editor.until("three frames", () => editor.frames.length === 3);
            equal(editor.values(), [STATE, DEPLOY, STATUS], "frames");
            editor.close();
        });
    });
}

module.exports = { parts: { "runtime-open": openEditor, "runtime-auth": authEditor }, withRuntime, users, login };
