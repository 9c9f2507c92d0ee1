// All checks: our client against a real Node-RED, then an editor's side against our runtime.
//   NODE_RED_DIR     folder whose node_modules holds node-red and ws
//   INTEROP_BINARIES folder of nodered-watch and nodered-runtime
//   INTEROP_WORK     folder for what Node-RED writes
// Arguments: the parts to run; all of them if none is named.
for (const name of ["NODE_RED_DIR", "INTEROP_BINARIES", "INTEROP_WORK"]) {
    if (!process.env[name]) {
        console.error(`${name} is not set; "cargo xtask interop node-red" sets it`);
        process.exit(2);
    }
}

const checks = require("./checks");
const programs = require("./programs");
const sockets = require("./sockets");
const nodeRed = require("./start");

const parts = { ...require("./watch").parts, ...require("./runtime").parts, ...require("./editor").parts };

async function stopAll() {
    sockets.closeAll();
    await Promise.all([programs.stopAll(), nodeRed.stopAll()]);
}

async function main() {
    const unknown = process.argv.slice(2).filter((name) => !parts[name]);
    if (unknown.length > 0) { throw new Error(`no part ${unknown}; there are ${Object.keys(parts)}`); }
    const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts);
    console.log(`Node-RED ${nodeRed.version()}, Node.js ${process.version}`);
    for (const name of wanted) {
        await checks.check(`${name}: the part comes to its end`, parts[name]);
        await stopAll();
    }
    process.exitCode = checks.close() ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => { stopAll().finally(() => process.exit(1)); });
}
main().catch((error) => { console.error(error); process.exitCode = 1; }).finally(stopAll)
    .finally(() => process.exit(process.exitCode));
