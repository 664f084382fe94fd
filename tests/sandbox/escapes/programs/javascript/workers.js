// tries: to start workers without end, each with threads of its own
// escape: it gets more than the limit
// outcome: memory exited signalled time
// limits: wall=3
// control: none: heap.js has the control
const { Worker } = require("worker_threads");
const { note } = require("./attack.js");

note("workers");
for (let round = 0; round < 200; round++) {
  const worker = new Worker("setInterval(() => {}, 1000)", { eval: true });
  worker.on("error", (error) => note(error.message));
}
