// What nodered-watch must show of the values that `flows.KINDS` makes: the value itself, and for those that were cut
// that they were.
const list = (items) => items.join(",");
const numbers = (count, map = (i) => i) => Array.from({ length: count }, (_, i) => map(i));
// As the program writes on one line or on several.
const flat = (text) => text.replace(/\s*\n\s*/g, " ").replace(/([[{(]) /g, "$1").replace(/ ([\]})])/g, "$1");
const is = (expected) => (shown) => flat(shown) === expected;
const items = (open, expected, close, more = "") => (shown) =>
    flat(shown).replaceAll(", ", ",") === open + list(expected) + more + close;
const begins = (...parts) => (shown) => parts.reduce((rest, part) =>
    (rest === null || !rest.includes(part) ? null : rest.slice(rest.indexOf(part) + part.length)), shown) !== null;

module.exports = {
    "string-empty": is('""'),
    "string-short": is('"hello"'),
    "string-unicode": is('"h\u00e9llo \ud83d\ude00"'),
    "string-1000": is(`"${"x".repeat(1000)}"`),
    "string-1001": begins("x".repeat(1000), "1"),
    "number-int": is("42"),
    "number-float": is("1.5"),
    "number-neg-zero": is("0"),
    "number-large": is("1e+21"),
    "number-nan": is("NaN"),
    "number-inf": is("Infinity"),
    "number-neg-inf": is("-Infinity"),
    "boolean-true": is("true"),
    "boolean-false": is("false"),
    "null": is("null"),
    "undefined": is("undefined"),
    "array-empty": is("[]"),
    "array-small": is('[1, "two", null, true]'),
    "array-nested": is("[[1, 2], [3, [4]]]"),
    "array-1000": items("[", numbers(1000), "]"),
    "array-1001": begins("999", "1 more"),
    "array-holes": is("[undefined, NaN, undefined, 1]"),
    "object-empty": is("{}"),
    "object-nested": is('{a: 1, b: {c: "d", e: [1, 2, {f: null}]}}'),
    "object-specials": begins("u: undefined", "nan: NaN", "ninf: -Infinity", "big: 10n", "[function]", "/a.b/gi",
        'Set(2) {1, "a"}', "Map(2)", "TypeError: inner"),
    "object-long-members": begins("y".repeat(1000), "1001", "999", "1001"),
    "object-circular": begins('name: "o"', "Circular"),
    "object-req-res": is("{_req: [internal], _res: [internal], req: {z: 3}}"),
    "object-tojson": is("{replaced: true}"),
    "object-null-proto": is("{a: 1}"),
    // The next two look like what the runtime writes, and nobody can tell.
    "object-enc-lookalike": is("NaN"),
    "object-buffer-lookalike": is("<Buffer 01 02 03>"),
    "buffer-empty": is("<Buffer>"),
    "buffer-5": is("<Buffer 68 65 6c 6c 6f>"),
    "buffer-500": is(`<Buffer ${numbers(500, () => "ab").join(" ")}>`),
    "buffer-501": begins(numbers(500, () => "ab").join(" "), "1 more"),
    "error": begins("Error: plain", "at Function node:"),
    "error-code": begins("Error: with code", "E_CODE"),
    "error-cause": begins("Error: outer", "inner"),
    "error-type": begins("TypeError: typed"),
    "error-custom": begins("MyError: custom"),
    "set": is('Set(3) {1, "two", {three: 3}}'),
    "set-empty": is("Set(0) {}"),
    "set-1001": begins("Set(1001)", "999"),
    "map": is('Map(2) {"a" => 1, "b" => {c: 2}}'),
    "map-nonstring-keys": is('Map(3) {"1" => "one", "true" => "yes", "[object Object]" => "obj"}'),
    "map-1001": begins("Map(1001)", '"k0" => 0', '"k999" => 999'),
    "regexp": is("/ab+c/gi"),
    "bigint": is("12345678901234567890n"),
    "function": is("[function]"),
    "date": begins("Date Thu Jan 01 1970"),
    "uint8array": is("Uint8Array(3) [1, 2, 3]"),
    "float64array-1001": begins("Float64Array(1001)", "0"),
    "symbol": is("[symbol]"),
};
