// Runs the module that `bindgen` made: node run.cjs FOLDER
const { join, resolve } = require("node:path");
console.log(require(join(resolve(process.argv[2]), "user.js")).run());
