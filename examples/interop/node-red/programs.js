// Our programs: started with --json, their event lines waited for.
const { spawn } = require("child_process");
const path = require("path");

const running = new Set();

class Program {
    // The binaries' folder comes from the environment.
    constructor(name, args) {
        this.name = name;
        this.events = [];
        this.errors = "";
        this.waiting = new Set();
        this.exit = null;
        this.child = spawn(path.join(process.env.INTEROP_BINARIES, name), [...args, "--json"],
            { stdio: ["pipe", "pipe", "pipe"] });
        running.add(this);
        this.exited = new Promise((resolve) => {
            const end = (code, signal) => {
                this.exit = this.exit || { code, signal };
                running.delete(this);
                this.wake();
                resolve(this.exit);
            };
            this.child.on("error", (error) => { this.errors += error.message; end(-1, null); });
            this.child.on("close", end);
        });
        let rest = "";
        this.child.stdout.setEncoding("utf8").on("data", (text) => {
            const lines = (rest + text).split("\n");
            rest = lines.pop();
            lines.filter(Boolean).forEach((line) => this.events.push(JSON.parse(line)));
            this.wake();
        });
        this.child.stderr.setEncoding("utf8").on("data", (text) => { this.errors += text; });
        this.child.stdin.on("error", () => {});
    }

    wake() { this.waiting.forEach((look) => look()); }

    // Waits until `find`, given all events from `from` on, returns something truthy, and returns that.
    until(what, find, { from = 0, ms = 10000 } = {}) {
        return new Promise((resolve, reject) => {
            let timer = null;
            const done = (settle, value) => { clearTimeout(timer); this.waiting.delete(look); settle(value); };
            const fail = (why) => done(reject, new Error(`${this.name}: no ${what}, ${why}; last events: `
                + JSON.stringify(this.events.slice(-6)).slice(0, 900) + " " + this.errors.slice(-300)));
            const look = () => {
                let found;
                try { found = find(this.events.slice(from)); } catch (error) { return done(reject, error); }
                if (found) { done(resolve, found); } else if (this.exit) { fail("it has ended"); }
            };
            this.waiting.add(look);
            timer = setTimeout(() => fail(`in ${ms} ms`), ms);
            look();
        });
    }

    // Waits for one event, which is `members`.
    event(members, options) {
        const is = (event) => Object.keys(members).every((name) => event[name] === members[name]);
        return this.until(JSON.stringify(members), (events) => events.find(is), options);
    }

    // Waits for one message of a topic, which `test` holds for.
    message(topic, test = () => true, options = {}) {
        const is = (event) => event.event === "message" && event.topic === topic && test(event.data, event);
        return this.until(`message ${topic}`, (events) => events.find(is), options);
    }

    has(members) {
        return this.events.some((event) => Object.keys(members).every((name) => event[name] === members[name]));
    }

    mark() { return this.events.length; }

    type(...lines) { this.child.stdin.write(lines.map((line) => JSON.stringify(line) + "\n").join("")); }

    // As `type`, and waits until all of it is done: a line that is none is answered in its turn.
    async typed(...lines) {
        const from = this.mark();
        this.type(...lines, { end: "of lines" });
        await this.event({ event: "error" }, { from });
    }

    // Waits for the end; a program that does not end by itself is ended.
    async ended(ms = 10000) {
        const timer = setTimeout(() => this.child.kill("SIGKILL"), ms);
        const exit = await this.exited;
        clearTimeout(timer);
        return exit;
    }

    async stop(ms = 5000) {
        if (!this.exit) { this.child.kill("SIGTERM"); }
        return this.ended(ms);
    }
}

async function stopAll() { await Promise.all([...running].map((program) => program.stop(2000))); }

module.exports = { Program, stopAll };
