"use strict";
// Tables of the class "sortable": each heading becomes a button that sorts by its column, then the other way, then as
// printed. Numbers (columns of the class "number", or cells with data-value) begin with the largest.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], rows = [...body.rows];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const number = text => {
    const found = text.replaceAll("−", "-").replaceAll(",", "").match(/[-+]?\d*\.?\d+/);
    return found ? Number(found[0]) : undefined;
  };
  const valueOf = (row, column, numeric) => {
    const cell = row.cells[column], text = cell.textContent.trim();
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    if (text === "" || text === "–") return undefined;
    return numeric ? number(text) : text;
  };
  const compare = (one, other) =>
    typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
  heads.forEach((head, column) => {
    if (head.tagName !== "TH") return;
    const numeric = head.classList.contains("number");
    const turns = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const turn = turns[turns.indexOf(head.getAttribute("aria-sort")) + 1];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (turn) head.setAttribute("aria-sort", turn);
      const sign = turn === "descending" ? -1 : 1;
      const keys = new Map(rows.map(row => [row, valueOf(row, column, numeric)]));
      const missing = row => keys.get(row) === undefined;
      const order = (one, other) =>
        missing(one) - missing(other) || (missing(one) ? 0 : sign * compare(keys.get(one), keys.get(other)));
      body.append(...(turn ? [...rows].sort(order) : rows));
    });
  });
}
