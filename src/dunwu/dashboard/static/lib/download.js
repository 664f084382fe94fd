// Gives the reader files: a table as CSV, a picture as PNG. Both are made in the page.

/** Offer `content` as a file. */
export function saveAs(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = fileName(name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Write columns as CSV: a list of names, and as many lists of values. */
export function csv(names, columns) {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    const text = String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = [names.map(cell).join(",")];
  const count = columns[0]?.length ?? 0;
  for (let i = 0; i < count; i++) rows.push(columns.map((column) => cell(column[i])).join(","));
  return `${rows.join("\n")}\n`;
}

function fileName(name) {
  return name.replace(/[^\p{L}\p{N}._-]+/gu, "-");
}
