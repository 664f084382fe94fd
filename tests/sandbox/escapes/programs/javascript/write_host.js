// tries: to write into the host's folders and kill its processes
// escape: a file appears there, or the process ends
// control: outside
const fs = require("fs");
const { targets, show, mustFail } = require("./attack.js");

show("write", () => fs.writeFileSync(`${targets.folder}/made_by_node`, "was here"));
mustFail("kill", () => process.kill(targets.victim, "SIGKILL"));
