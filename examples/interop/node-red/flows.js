// Flows to deploy.
const TAB = { id: "aaaa0000000000f1", type: "tab", label: "Flow 1", disabled: false, info: "" };

function once(id, wires, z) {
    return { id, type: "inject", z: z || TAB.id, name: "", props: [], repeat: "", crontab: "", once: true,
             onceDelay: 0.3, topic: "", payload: "", payloadType: "str", x: 100, y: 100, wires: [wires] };
}
function fn(id, code, wires, extra) {
    return { id, type: "function", z: TAB.id, name: "", func: code, outputs: 1, timeout: 0, noerr: 0,
             initialize: "", finalize: "", libs: [], x: 200, y: 100, wires: [wires], ...(extra || {}) };
}
function debug(id, extra) {
    return { id, type: "debug", z: TAB.id, name: "", active: true, tosidebar: true, console: false, tostatus: false,
             complete: "payload", targetType: "msg", statusVal: "", statusType: "auto", x: 300, y: 100, wires: [],
             ...(extra || {}) };
}

// name -> JavaScript expression, evaluated inside a function node
const KINDS = {
    "string-empty": "''",
    "string-short": "'hello'",
    "string-unicode": "'h\\u00e9llo \\ud83d\\ude00'",
    "string-1000": "'x'.repeat(1000)",
    "string-1001": "'x'.repeat(1001)",
    "number-int": "42",
    "number-float": "1.5",
    "number-neg-zero": "-0",
    "number-large": "1e21",
    "number-nan": "NaN",
    "number-inf": "Infinity",
    "number-neg-inf": "-Infinity",
    "boolean-true": "true",
    "boolean-false": "false",
    "null": "null",
    "undefined": "undefined",
    "array-empty": "[]",
    "array-small": "[1,'two',null,true]",
    "array-nested": "[[1,2],[3,[4]]]",
    "array-1000": "Array.from({length:1000},(_,i)=>i)",
    "array-1001": "Array.from({length:1001},(_,i)=>i)",
    "array-holes": "[undefined,NaN,,1]",
    "object-empty": "({})",
    "object-nested": "({a:1,b:{c:'d',e:[1,2,{f:null}]}})",
    "object-specials": "({u:undefined,n:null,nan:NaN,inf:Infinity,ninf:-Infinity,big:10n,fn:function named(){},arrow:()=>1,re:/a.b/gi,set:new Set([1,'a']),map:new Map([['k',1],[2,'v']]),err:new TypeError('inner'),buf:Buffer.from('abc'),date:new Date(0),u8:new Uint8Array([1,2,3]),f64:new Float64Array([0.5]),sym:Symbol('s'),t:true})",
    "object-long-members": "({s:'y'.repeat(1001),a:Array.from({length:1001},(_,i)=>i),b:Buffer.alloc(1001,7),u8:new Uint8Array(1001),set:new Set(Array.from({length:1001},(_,i)=>i)),map:new Map(Array.from({length:1001},(_,i)=>['k'+i,i]))})",
    "object-circular": "(()=>{const o={name:'o',list:[]};o.self=o;o.list.push(o);return o})()",
    "object-req-res": "({_req:{x:1},_res:{y:2},req:{z:3}})",
    "object-tojson": "({toJSON(){return {replaced:true}}})",
    "object-null-proto": "Object.assign(Object.create(null),{a:1})",
    "object-enc-lookalike": "({__enc__:true,type:'number',data:'NaN'})",
    "object-buffer-lookalike": "({type:'Buffer',data:[1,2,3]})",
    "class-instance": "new (class Foo{constructor(){this.a=1}})()",
    "buffer-empty": "Buffer.alloc(0)",
    "buffer-5": "Buffer.from('hello')",
    "buffer-500": "Buffer.alloc(500,0xab)",
    "buffer-501": "Buffer.alloc(501,0xab)",
    "error": "new Error('plain')",
    "error-code": "Object.assign(new Error('with code'),{code:'E_CODE'})",
    "error-cause": "new Error('outer',{cause:new Error('inner')})",
    "error-type": "new TypeError('typed')",
    "error-custom": "new (class MyError extends Error{constructor(m){super(m);this.name='MyError'}})('custom')",
    "error-named-object": "new (class NotAnError{constructor(){this.message='m';this.name='n'}})()",
    "set": "new Set([1,'two',{three:3}])",
    "set-empty": "new Set()",
    "set-1001": "new Set(Array.from({length:1001},(_,i)=>i))",
    "map": "new Map([['a',1],['b',{c:2}]])",
    "map-nonstring-keys": "new Map([[1,'one'],[true,'yes'],[{o:1},'obj']])",
    "map-1001": "new Map(Array.from({length:1001},(_,i)=>['k'+i,i]))",
    "regexp": "/ab+c/gi",
    "bigint": "12345678901234567890n",
    "function": "function foo(a){return a}",
    "date": "new Date(0)",
    "uint8array": "new Uint8Array([1,2,3])",
    "float64array-1001": "new Float64Array(1001)",
    "arraybuffer": "new ArrayBuffer(4)",
    "dataview": "new DataView(new ArrayBuffer(4))",
    "symbol": "Symbol('s')",
    "promise": "Promise.resolve(1)"
};

function kindsFlow(kinds) {
    const list = Object.entries(kinds || KINDS).map(function (e) {
        return "try{send(" + JSON.stringify(e[0]) + ",()=>(" + e[1] + "));}catch(e){node.warn(" + JSON.stringify(e[0]) + "+': '+e.message);}";
    }).join("\n");
    const code = "let i=0;const send=(topic,f)=>{const v=f();node.send({_msgid:'m'+(i++),topic,payload:v});};\n" + list + "\nreturn null;";
    return [TAB, once("aaaa000000000001", ["aaaa000000000002"]), fn("aaaa000000000002", code, ["aaaa000000000003"]),
            debug("aaaa000000000003", { name: "kinds" })];
}

// A node that shows a status as soon as flows start, and goes on showing it.
function statusFlow(text) {
    const code = "node.status({ fill: 'green', shape: 'dot', text: " + JSON.stringify(text) + " }); return null;";
    return [TAB, once("aaaa0000000000b1", ["aaaa0000000000b2"]), fn("aaaa0000000000b2", code, [])];
}

module.exports = { statusFlow, TAB, KINDS, once, fn, debug, kindsFlow };
