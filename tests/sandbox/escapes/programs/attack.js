// What the attacking programs share: targets, and one line for each attempt. See attack.py.
const targets = JSON.parse(require("fs").readFileSync(0, "utf8"));
const print = (text) => require("fs").writeSync(1, text + "\n");

function note(what) {
  print(`TRIED ${what}`);
}

function show(what, attempt) {
  try {
    print(`TRIED ${what} -> ${attempt()}`);
  } catch (error) {
    print(`TRIED ${what}: ${error.message}`);
  }
}

function mustFail(what, attempt) {
  try {
    print(`ESCAPED ${what}: ${attempt()}`);
  } catch (error) {
    print(`TRIED ${what}: ${error.message}`);
  }
}

module.exports = { targets, note, show, mustFail };
