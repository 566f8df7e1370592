// A table of small pictures, each a button that takes its values into the page's knobs. One of them
// is reached by Tab and the arrow keys lead to the others, so that thirty cells are one stop.

function make(tag, className, parent, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}

function drawCell(box, cell, row, column, report) {
  const button = make("button", cell.chosen ? "cell chosen" : "cell", make("td", "", box));
  button.type = "button";
  button.tabIndex = -1;
  button.dataset.row = row;
  button.dataset.column = column;
  button.setAttribute("aria-pressed", cell.chosen ? "true" : "false");
  button.setAttribute("aria-label", cell.alt);
  button.title = cell.alt;
  if (cell.url) {
    const image = make("img", "", button);
    image.src = cell.url;
    image.alt = "";
  } else make("span", "none", button);
  for (const line of cell.lines) make("span", "line", button, line);
  button.addEventListener("click", () => report({ row, column, n: Date.now() }));
}

function move(event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const step = steps[event.key];
  const from = event.target.closest?.("button.cell");
  if (!step || !from) return;
  const row = Number(from.dataset.row) + step[0], column = Number(from.dataset.column) + step[1];
  const to = event.currentTarget.querySelector(`button[data-row="${row}"][data-column="${column}"]`);
  if (!to) return;
  event.preventDefault();
  event.stopPropagation();
  from.tabIndex = -1;
  to.tabIndex = 0;
  to.focus();
}

export default function ({ data, parentElement, setTriggerValue }) {
  const scroll = parentElement.querySelector(".scroll");
  const focused = scroll.contains(scroll.getRootNode().activeElement)
    ? { ...scroll.getRootNode().activeElement.dataset } : null;
  scroll.replaceChildren();
  const table = make("table", "", scroll);
  make("caption", "", table, data.label);
  const head = make("tr", "", make("thead", "", table));
  make("td", "", head);
  for (const name of data.columns) make("th", "", head, name).scope = "col";
  const body = make("tbody", "", table);
  const report = (place) => setTriggerValue("clicked", place);
  data.cells.forEach((cells, row) => {
    const line = make("tr", "", body);
    make("th", "", line, data.rows[row]).scope = "row";
    cells.forEach((cell, column) => drawCell(line, cell, row, column, report));
  });
  scroll.onkeydown = move;
  const chosen = table.querySelector("button.chosen") || table.querySelector("button");
  chosen.tabIndex = 0;
  if (focused) {
    const same = table.querySelector(
      `button[data-row="${focused.row}"][data-column="${focused.column}"]`);
    same?.focus({ preventScroll: true });
  }
}
