// Starts a real Node-RED on 127.0.0.1 with one of the configurations in settings/.
//   NODE_RED_DIR=folder node start.js <configuration> [port]
const { spawn } = require("child_process");
const fs = require("fs");
const http = require("http");
const net = require("net");
const os = require("os");
const path = require("path");

function freePort() {
    return new Promise(function (resolve, reject) {
        const s = net.createServer();
        s.on("error", reject);
        s.listen(0, "127.0.0.1", function () { const p = s.address().port; s.close(function () { resolve(p); }); });
    });
}

// NODE_RED_DIR: folder whose node_modules holds node-red (default: here)
// NODE_BIN: node executable to run it with (default: this one)
function installDir() { return path.resolve(process.env.NODE_RED_DIR || __dirname); }
function version() {
    return JSON.parse(fs.readFileSync(path.join(installDir(), "node_modules/node-red/package.json"))).version;
}

const running = new Set();

// Ends whatever was started here.
async function stopAll() {
    await Promise.all([...running].map(function (inst) { return inst.stop ? inst.stop() : inst.child.kill("SIGKILL"); }));
}

async function start(config, opts) {
    opts = opts || {};
    const port = opts.port || await freePort();
    const work = process.env.INTEROP_WORK || os.tmpdir();
    const userDir = opts.userDir || fs.mkdtempSync(path.join(work, "nr-user-"));
    const root = path.join(installDir(), "node_modules/node-red");
    if (opts.flows) { fs.writeFileSync(path.join(userDir, "flows.json"), JSON.stringify(opts.flows)); }
    for (const f of Object.keys(opts.files || {})) { fs.writeFileSync(path.join(userDir, f), opts.files[f]); }
    fs.writeFileSync(path.join(userDir, "package.json"), JSON.stringify({ name: "nr-user", version: "0.0.1", private: true }));
    const known = version();
    const child = spawn(process.env.NODE_BIN || process.execPath,
        [path.join(root, "red.js"), "-u", userDir, "-s", path.join(__dirname, "settings", (opts.settings || config) + ".js")],
        { env: { ...process.env, NR_PORT: String(port), NR_USER_DIR: userDir, NO_UPDATE_NOTIFIER: "1" },
          cwd: userDir, stdio: ["ignore", "pipe", "pipe"] });
    const inst = { config, port, userDir, child, root, version: known, log: "", exit: null };
    child.stdout.on("data", function (d) { inst.log += d; if (opts.echo) { process.stdout.write(d); } });
    child.stderr.on("data", function (d) { inst.log += d; if (opts.echo) { process.stderr.write(d); } });
    running.add(inst);
    inst.exited = new Promise(function (resolve) {
        child.on("exit", function (code, signal) {
            running.delete(inst);
            inst.exit = { code, signal };
            resolve(inst.exit);
        });
    });
    const t0 = Date.now();
    for (;;) {
        if (inst.exit) { throw new Error("Node-RED ended early:\n" + inst.log); }
        if (/Started flows|Stopped flows|Waiting for missing types|Flows stopped in safe mode|Flows stopped/.test(inst.log)) { break; }
        if (Date.now() - t0 > 40000) { child.kill("SIGKILL"); throw new Error("Node-RED did not start:\n" + inst.log); }
        await new Promise(function (r) { setTimeout(r, 100); });
    }
    inst.stop = async function (signal) {
        if (inst.exit) { return; }
        child.kill(signal || "SIGTERM");
        const timer = setTimeout(function () { child.kill("SIGKILL"); }, 5000);
        await inst.exited;
        clearTimeout(timer);
    };
    return inst;
}

function request(inst, method, p, body, headers) {
    return new Promise(function (resolve, reject) {
        const isForm = typeof body === "string";
        const data = body === undefined ? null : isForm ? body : JSON.stringify(body);
        const req = http.request({ host: "127.0.0.1", port: inst.port, method, path: p, headers: {
            ...(data === null ? {} : { "Content-Type": isForm ? "application/x-www-form-urlencoded" : "application/json",
                                       "Content-Length": Buffer.byteLength(data) }),
            ...(headers || {}) } }, function (res) {
            let s = "";
            res.on("data", function (d) { s += d; });
            res.on("end", function () {
                let json; try { json = JSON.parse(s); } catch (e) { json = undefined; }
                resolve({ status: res.statusCode, text: s, json });
            });
        });
        req.setTimeout(15000, function () { req.destroy(new Error("no answer to " + method + " " + p)); });
        req.on("error", reject);
        if (data !== null) { req.write(data); }
        req.end();
    });
}

module.exports = { start, stopAll, request, freePort, version };

if (require.main === module) {
    start(process.argv[2] || "open", { port: Number(process.argv[3]) || undefined, echo: true }).then(function (inst) {
        console.log("ready on http://127.0.0.1:" + inst.port + " user directory " + inst.userDir);
        const bye = function () { inst.stop().then(function () { process.exit(0); }); };
        process.on("SIGINT", bye); process.on("SIGTERM", bye);
    }).catch(function (e) { console.error(e.message); process.exit(1); });
}
