// tries: to outstay its time with a loop that yields to no timer
// escape: the run does not end by its limit
// outcome: time
// limits: cpu=1 wall=2
// control: none: outside nobody has a limit
require("./attack.js").note("spin");
process.on("SIGTERM", () => {});
process.on("SIGXCPU", () => {});
for (;;);
