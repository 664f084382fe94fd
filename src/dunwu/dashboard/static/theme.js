// Light or dark: as the system says, unless the reader chose. Loaded first, so that no page flashes in the other one.

const KEY = "dunwu-theme";

/** The choice: "system", "light" or "dark". */
export function chosenTheme() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system"; // storage is switched off
  }
}

/** Choose, and tell who draws in colours of its own (event "themechange" on document). */
export function chooseTheme(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch { /* storage is switched off: the choice lasts as long as the page */ }
  apply(theme);
}

/** Whether the page is dark now. */
export function isDark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("themechange"));
}

apply(chosenTheme());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new CustomEvent("themechange")));
