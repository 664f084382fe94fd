// Parts of the header.

import { h, s } from "./dom.js";
import { chooseTheme, chosenTheme } from "../theme.js";

/** The mark: an open circle drawn in one stroke. */
export function enso() {
  return s("svg", { viewBox: "0 0 32 32", class: "enso", "aria-hidden": "true" },
    s("path", { d: "M24.6 6.7A12.2 12.2 0 1 0 28.1 17", fill: "none", "stroke-width": "3.4", "stroke-linecap": "round" }));
}

const CHOICES = [["light", "Light"], ["system", "As the system"], ["dark", "Dark"]];
const SIGNS = {
  light: "M8 3.2V1.6M8 14.4v-1.6M3.2 8H1.6M14.4 8h-1.6M4.6 4.6 3.5 3.5M12.5 12.5l-1.1-1.1M4.6 11.4l-1.1 1.1M12.5 3.5l-1.1 1.1M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6",
  system: "M2 3.5h12v7.5H2zM6 13.5h4M8 11v2.5",
  dark: "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z",
};

/** Three buttons of which one is pressed. */
export function themeSwitch() {
  const buttons = CHOICES.map(([theme, label]) => h("button", {
    type: "button", title: label, "aria-label": `Colours: ${label.toLowerCase()}`, "aria-pressed": String(chosenTheme() === theme),
    onclick: () => {
      chooseTheme(theme);
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(CHOICES[i][0] === theme)));
    },
  }, s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
    s("path", { d: SIGNS[theme], fill: "none", stroke: "currentColor", "stroke-width": "1.3", "stroke-linecap": "round", "stroke-linejoin": "round" }))));
  return h("div", { class: "theme", role: "group", "aria-label": "Colours" }, buttons);
}
