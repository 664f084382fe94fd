// Builds elements. Everything that is not an element becomes a text node: text of a run is shown, never read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: h("button", {class: "quiet", onclick: save}, "Save"). Children may be nested lists; null and false are left out. */
export function h(tag, props, ...children) {
  return build(document.createElement(tag), props, children);
}

/** Make an SVG element, in the same way. */
export function s(tag, props, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

/** Replace what is in `element` by `children`. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

function build(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
