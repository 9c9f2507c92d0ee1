// Finds the filters of each message as Node-RED's editor does: an expression for every filter, made anew each time.
// Reads {"topics": […], "patterns": […], "rounds": n}, writes the nanoseconds of a message in the median round.
import { readFileSync } from "node:fs";

const { topics, patterns, rounds } = JSON.parse(readFileSync(0, "utf8"));

function expression(pattern) {
  const levels = pattern.replace(/[.*?^$()|[\]\\{}]/g, "\\$&").replaceAll("+", "[^/]+");
  return new RegExp(`^${levels.replace(/\/#$/, "(/.*)?")}$`);
}

let found = 0;
function round() {
  const start = process.hrtime.bigint();
  for (const topic of topics) {
    for (const pattern of patterns) {
      if (expression(pattern).test(topic)) found += 1;
    }
  }
  return Number(process.hrtime.bigint() - start) / topics.length;
}

const times = Array.from({ length: rounds }, round).sort((a, b) => a - b);
console.log(JSON.stringify({ nanoseconds: times[rounds >> 1], found: found / rounds }));
