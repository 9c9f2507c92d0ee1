// Counting checks, and the closing line.
const { isDeepStrictEqual } = require("util");

let passed = 0;
let skipped = 0;
const failures = [];

function note(failed, name, text) {
    if (!failed) { passed += 1; console.log(`ok   ${name}`); return; }
    const line = `FAIL ${name}: ${text}`;
    failures.push(line);
    console.log(line);
}

// A check passes when it does not throw.
async function check(name, work) {
    try { await work(); note(false, name); } catch (error) { note(true, name, error.message || String(error)); }
}

function equal(got, expected, what = "value") {
    if (!isDeepStrictEqual(got, expected)) {
        throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`);
    }
}

function that(holds, what) { if (!holds) { throw new Error(`not so: ${what}`); } }

function skip(name, reason) { skipped += 1; console.log(`skipped ${name}: ${reason}`); }

// Prints the closing line; says whether all went well.
function close() {
    console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped`);
    return failures.length === 0 && passed > 0;
}

module.exports = { check, equal, that, skip, close };
