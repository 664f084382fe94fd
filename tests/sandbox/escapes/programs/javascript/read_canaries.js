// tries: to read the host's secrets with fs, and with a child process
// escape: a secret is in the output
// control: outside
const fs = require("fs");
const { execFileSync } = require("child_process");
const { targets, show } = require("./attack.js");

for (const path of Object.values(targets.canaries)) {
  show("fs", () => fs.readFileSync(path, "utf8"));
  show("a child", () => execFileSync("cat", [path], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }));
}
