// An editor's socket, by the `ws` library: what it sends and the frames that it gets.
const { createRequire } = require("module");
const path = require("path");

const WebSocket = createRequire(path.join(process.env.NODE_RED_DIR, "package.json"))("ws");
const open = new Set();

// What the editor of Node-RED 5 subscribes to, in its order.
const EDITOR_TOPICS = ["notification/runtime-deploy", "notification/#", "status/#", "notification/plugin/#",
    "notification/node/#", "event-log/#", "debug", "multiplayer/#"];

class Socket {
    constructor(url, options) {
        this.frames = [];
        this.closed = null;
        this.waiting = new Set();
        this.socket = new WebSocket(url, { handshakeTimeout: 5000, ...options });
        open.add(this);
        this.opened = new Promise((resolve, reject) => {
            this.socket.on("open", () => resolve(this));
            this.socket.on("error", reject);
        });
        this.opened.catch(() => {});
        this.socket.on("message", (data, isBinary) => {
            this.frames.push({ text: data.toString(), isBinary, at: Date.now() });
            this.wake();
        });
        this.socket.on("close", (code) => { this.closed = { code }; open.delete(this); this.wake(); });
    }

    static async connect(url, options) { return new Socket(url, options).opened; }

    wake() { this.waiting.forEach((look) => look()); }

    send(packet) { this.socket.send(typeof packet === "string" ? packet : JSON.stringify(packet)); }

    values() { return this.frames.map((frame) => JSON.parse(frame.text)); }

    // All messages so far, however they were framed.
    messages() { return this.values().flat().filter((value) => value.topic !== undefined); }

    until(what, find, ms = 10000) {
        return new Promise((resolve, reject) => {
            let timer = null;
            const done = (settle, value) => { clearTimeout(timer); this.waiting.delete(look); settle(value); };
            const look = () => {
                let found;
                try { found = find(this); } catch (error) { return done(reject, error); }
                if (found) { done(resolve, found); }
            };
            this.waiting.add(look);
            timer = setTimeout(() => done(reject, new Error(`editor: no ${what} in ${ms} ms; frames: `
                + JSON.stringify(this.frames.map((frame) => frame.text)).slice(0, 900)
                + `, closed: ${JSON.stringify(this.closed)}`)), ms);
            look();
        });
    }

    got(count, ms) { return this.until(`${count} messages`, () => this.messages().length >= count && this.messages(), ms); }

    close() { this.socket.close(); }
}

function closeAll() { open.forEach((socket) => socket.socket.terminate()); }

module.exports = { Socket, WebSocket, EDITOR_TOPICS, closeAll };
