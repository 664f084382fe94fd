// tries: to take memory without end: buffers, which lie outside of the engine's own heap limit
// escape: it gets more than the limit
// outcome: memory exited signalled
// control: mild 8
const { targets, note } = require("./attack.js");

note("heap");
const held = [];
for (let round = 0; round < targets.rounds; round++) {
  held.push(Buffer.alloc(4 << 20, 1));
  if (held.length > 150) {
    console.log(`ESCAPED ${4 * held.length} MiB`);
    break;
  }
}
