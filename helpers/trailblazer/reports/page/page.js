"use strict";
// Sorting by a click on a heading, and filters. Without this script the tables are there in the order of the plan.
const number = (text) => Number(text.replaceAll(",", ""));

function compare(one, other) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const a = number(one), b = number(other);
  return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other) : a - b;
}

function sortBy(heading) {
  const table = heading.closest("table");
  const body = table.tBodies[0];
  const column = heading.cellIndex;
  const isDescending = heading.getAttribute("aria-sort") === "ascending";
  const rows = Array.from(body.rows, (row) => [row.cells[column].textContent.trim(), row]);
  rows.sort((one, other) => (isDescending && one[0] && other[0] ? -1 : 1) * compare(one[0], other[0]));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
  body.append(...rows.map((pair) => pair[1]));
}

for (const heading of document.querySelectorAll("thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = heading.textContent;
  button.addEventListener("click", () => sortBy(heading));
  heading.replaceChildren(button);
}

function filter(input, table, count) {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  count.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length}` : "";
}

for (const place of document.querySelectorAll(".filter")) {
  const input = place.querySelector("input");
  const table = place.nextElementSibling.querySelector("table");
  input.addEventListener("input", () => filter(input, table, place.querySelector("output")));
  place.hidden = false;
}
