// The editor's own comms module, out of the package that Node-RED serves to browsers, against our runtime.
const fs = require("fs");
const path = require("path");
const vm = require("vm");
const { check, equal, that } = require("./checks");
const { Program } = require("./programs");
const { EDITOR_TOPICS, WebSocket } = require("./sockets");
const runtime = require("./runtime");

const STATUS = { fill: "green", shape: "dot", text: "on" };

// Takes the module out of the editor, with as much of an editor around it as it asks for.
class Editor {
    constructor(port, token) {
        const file = path.join(process.env.NODE_RED_DIR, "node_modules/@node-red/editor-client/public/red/red.js");
        const text = fs.readFileSync(file, "utf8");
        const from = text.indexOf("RED.comms = (function() {");
        const to = text.indexOf("\n})();", from);
        that(from > 0 && to > from, "the editor has a comms module");
        this.heard = [];
        this.logins = [];
        this.sockets = [];
        this.timers = [];
        this.handlers = {};
        const editor = this;
        class Counted extends WebSocket {
            constructor(url) { super(url); editor.sockets.push(this); this.on("error", () => {}); }
        }
        const settings = { "auth-tokens": token ? { access_token: token } : null };
        this.settings = settings;
        const location = { hostname: "127.0.0.1", port: String(port), pathname: "/", protocol: "http:" };
        const RED = {
            events: { on: (name, handler) => { this.handlers[name] = handler; } },
            settings: { get: (name) => settings[name] },
            user: { login: (_, done) => this.logins.push(done) },
            notify: () => ({ close() {}, update() {} }),
            _: (key) => key,
        };
        const window = { RED, WebSocket: Counted, location, document: { location }, clearTimeout, clearInterval,
            setTimeout: (...args) => this.timer(setTimeout(...args)),
            setInterval: (...args) => this.timer(setInterval(...args)), console, $: () => ({ find: () => ({ on() {} }) }) };
        vm.runInNewContext(text.slice(from, to + "\n})();".length), window);
        this.comms = RED.comms;
        EDITOR_TOPICS.forEach((topic) => this.comms.subscribe(topic, (heard, data) => {
            // Values of another context have other prototypes.
            this.heard.push({ by: topic, topic: heard, data: JSON.parse(JSON.stringify(data)) });
        }));
        this.comms.on("connect", () => this.comms.send("multiplayer/connect", { session: "editor1" }));
    }

    async until(what, find, ms = 10000) {
        const end = Date.now() + ms;
        for (;;) {
            const found = find();
            if (found) { return found; }
            if (Date.now() > end) {
                throw new Error(`the editor has no ${what} in ${ms} ms: ${JSON.stringify(this.heard).slice(0, 600)}`);
            }
            await new Promise((resolve) => { setTimeout(resolve, 20); });
        }
    }

    of(topic) { return this.heard.filter((heard) => heard.topic === topic); }

    timer(timer) { this.timers.push(timer); return timer; }

    // The module would connect again for ever.
    end() {
        this.timers.forEach(clearTimeout);
        this.sockets.forEach((socket) => { socket.onclose = null; socket.terminate(); });
    }
}

async function withEditor(port, token, work) {
    const editor = new Editor(port, token);
    try {
        editor.comms.connect();
        await work(editor);
    } finally { editor.end(); }
}

async function editorModule() {
    await runtime.withRuntime([], async ({ program, port }) => {
        await withEditor(port, null, async (editor) => {
            await check("editor: its comms module hears what is retained and what is live", async () => {
                const [status] = await editor.until("status", () => editor.of("status/n1").length && editor.of("status/n1"));
                equal([status.by, status.data], ["status/#", STATUS], "the status");
                // Two filters match, and both have asked for what is retained.
                const deploys = editor.of("notification/runtime-deploy").map((heard) => heard.by);
                equal(deploys, ["notification/runtime-deploy", "notification/#", "notification/runtime-deploy",
                    "notification/#"], "who heard of the deploy");
                program.type({ status: "n2", data: { text: "live", other: 1 } },
                    { log: "warn", message: "something is odd" });
                await editor.until("log record", () => editor.of("debug").length);
                equal(editor.of("status/n2").map((heard) => heard.data), [{ text: "live" }], "the live status");
                const { data } = editor.of("debug")[0];
                equal([data.level, data.msg, data.format], [30, "something is odd", "string[16]"], "the log record");
            });
            await check("editor: its multiplayer packet reaches the application", async () => {
                const event = await program.event({ event: "message", topic: "multiplayer/connect" });
                equal(event.data, { session: "editor1" }, "data");
            });
            await check("editor: it connects again after the runtime has ended", async () => {
                await program.stop();
                const again = new Program("nodered-runtime", ["--listen", `127.0.0.1:${port}`]);
                try {
                    await again.event({ event: "subscribed", filter: EDITOR_TOPICS[EDITOR_TOPICS.length - 1] });
                    const filters = again.events.filter((event) => event.event === "subscribed");
                    equal(filters.map((event) => event.filter), EDITOR_TOPICS, "filters");
                    editor.heard.length = 0;
                    again.type({ status: "n3", data: STATUS });
                    await editor.until("status", () => editor.of("status/n3").length);
                } finally { await again.stop(); }
            });
        });
    });
    const short = ["--session-life", "2s", "--expiry-grace", "500ms"];
    await runtime.withRuntime([...runtime.users(), ...short], async ({ program, port }) => {
        const token = await runtime.login(port, "admin");
        await withEditor(port, token, async (editor) => {
            await check("editor: its token is accepted, and the end of its session sends it to the login", async () => {
                await program.event({ event: "subscribed", filter: "status/#" });
                await editor.until("status", () => editor.of("status/n1").length);
                await editor.until("login", () => editor.logins.length);
                editor.settings["auth-tokens"] = { access_token: await runtime.login(port, "admin") };
                const before = editor.of("status/n1").length;
                editor.logins[0]();
                await editor.until("status again", () => editor.of("status/n1").length > before);
                equal(editor.sockets.length, 2, "connections");
            });
        });
        await check("editor: a bad token sends it to the login", async () => {
            await withEditor(port, "bad", async (editor) => {
                await editor.until("login", () => editor.logins.length);
                equal(editor.heard, [], "messages");
            });
        });
    });
    await runtime.withRuntime([...runtime.users(), "--default-user", "read"], async ({ program, port }) => {
        await withEditor(port, null, async (editor) => {
            await check("editor: a login while connected as the default user doubles nothing", async () => {
                await editor.until("status", () => editor.of("status/n1").length);
                editor.settings["auth-tokens"] = { access_token: await runtime.login(port, "admin") };
                editor.handlers.login("admin");
                await program.until("a user", (events) => events.some((event) =>
                    event.event === "active" && event.user === "admin"));
                program.type({ status: "n2", data: STATUS }, { topic: "debug", data: { msg: "last", format: "string[4]" } });
                await editor.until("debug message", () => editor.of("debug").length);
                equal(editor.of("status/n2").length, 1, "times it heard the status");
            });
        });
    });
}

module.exports = { parts: { editor: editorModule } };
