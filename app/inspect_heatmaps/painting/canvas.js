// Painting on a photo: tools, a stage that takes strokes by mouse, finger or keys, and beside it
// what the detectors say. The tools live here; the server hears of whole strokes alone, and answers
// with the painted photo and the heat as small JPEGs. A stroke is drawn roughly at once and exactly
// when the answer is there. Strokes that come while the server works are sent again until it has
// said that it has them, so none is lost.

const MERGED = 0.2; // of the size: nearer points of a stroke are one
const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function make(tag, className, parent) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (parent) parent.appendChild(element);
  return element;
}

// Comfort, not truth: kept for this browser tab only, silently absent where storage is forbidden.
function recall(name, fallback) {
  try { return window.sessionStorage.getItem(`cutswap.painting.${name}`) ?? fallback; } catch { return fallback; }
}
function remember(name, value) {
  try { window.sessionStorage.setItem(`cutswap.painting.${name}`, String(value)); } catch { /* forbidden */ }
}

function build(figure, data) {
  const parts = { figure, panels: [], pending: [], line: null, cursor: null, last: 0, side: data.side };
  buildTools(parts, data);
  const row = parts.row = make("div", "row", figure);
  const own = make("div", "part paints", row);
  make("div", "name", own).textContent = "Paint here";
  const stage = parts.stage = make("div", "square stage", own);
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  parts.photo = make("img", "photo", stage);
  parts.photo.alt = ""; parts.photo.draggable = false;
  parts.photo.addEventListener("load", () => sketch(parts));
  parts.sheet = make("canvas", "", stage);
  parts.told = make("div", "told", own);
  parts.told.setAttribute("role", "status");
  listen(parts);
  return parts;
}

function buildTools(parts, data) {
  const tools = make("div", "tools", parts.figure);
  const kinds = make("fieldset", "", tools);
  make("legend", "", kinds).textContent = "Tool";
  parts.kind = recall("kind", data.kinds[0].name);
  if (!data.kinds.some((kind) => kind.name === parts.kind)) parts.kind = data.kinds[0].name;
  for (const kind of data.kinds) {
    const label = make("label", "kind", kinds);
    label.title = kind.help;
    const input = make("input", "", label);
    input.type = "radio"; input.name = "kind"; input.value = kind.name; input.checked = kind.name === parts.kind;
    make("span", "", label).textContent = kind.label;
    input.addEventListener("change", () => { parts.kind = kind.name; remember("kind", kind.name); begin(parts, null); takeTool(parts); });
  }
  parts.size = number(tools, "Size", 1, data.largest, " px", () => sketch(parts));
  parts.strength = number(tools, "Strength", 1, 100, " %", () => {});
  for (const name of ["size", "strength"]) {
    parts[name].addEventListener("change", () => remember(`${parts.kind}.${name}`, parts[name].value));
  }
  const colour = make("label", "number", tools);
  colour.append("Colour");
  parts.colour = make("input", "", colour);
  parts.colour.type = "color"; parts.colour.value = recall("colour", "#2a2018");
  parts.colour.addEventListener("input", () => remember("colour", parts.colour.value));
  const acts = make("span", "acts", tools);
  parts.undo = button(acts, "Undo", "Takes the last stroke back, as Escape does on the photo.", () => act(parts, { undo: true }));
  parts.clear = button(acts, "Clear", "Takes all strokes back.", () => act(parts, { clear: true }));
}

function number(parent, text, low, high, unit, changed) {
  const label = make("label", "number", parent);
  label.append(text);
  const input = make("input", "", label);
  input.type = "range"; input.min = low; input.max = high;
  const shown = make("output", "", label);
  input.tell = () => { shown.textContent = `${input.value}${unit}`; };
  input.addEventListener("input", () => { input.tell(); changed(); });
  return input;
}

function button(parent, text, title, click) {
  const element = make("button", "", parent);
  element.type = "button"; element.textContent = text; element.title = title;
  element.addEventListener("click", click);
  return element;
}

// Strokes

function place(parts, event) {
  const box = parts.stage.getBoundingClientRect();
  const at = (position, start, length) => {
    const pixel = Math.floor((parts.side * (position - start)) / length);
    return Math.min(parts.side - 1, Math.max(0, pixel));
  };
  return [at(event.clientY, box.top, box.height), at(event.clientX, box.left, box.width)];
}

function begin(parts, point) {
  parts.line = point === null ? null : [point];
  sketch(parts);
}

function extend(parts, point) {
  const { line } = parts;
  const [y, x] = line[line.length - 1];
  if (parts.kind === "patch") line.splice(1, line.length, point);
  else if (Math.hypot(point[0] - y, point[1] - x) >= Math.max(2, MERGED * parts.size.value)) line.push(point);
  sketch(parts);
}

function finish(parts, point) {
  let { line } = parts;
  if (!line) return;
  parts.line = null;
  const [y, x] = line[line.length - 1];
  if (parts.kind === "patch") {
    line = [line[0], point];
    if (line[0][0] === point[0] && line[0][1] === point[1]) {
      parts.told.textContent = "A patch is dragged: press where to take it, and let go where to drop it.";
      sketch(parts);
      return;
    }
  } else if (point[0] !== y || point[1] !== x) line.push(point);
  while (line.length > parts.most) line = line.filter((_, i) => i % 2 === 0 || i === line.length - 1);
  const value = parts.colour.value;
  const colour = [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16));
  const seed = Math.floor(Math.random() * 65536);
  act(parts, { stroke: { kind: parts.kind, points: line, size: Number(parts.size.value), colour,
    strength: Number(parts.strength.value), seed } });
}

function act(parts, what) {
  parts.last = Math.max(parts.last + 1, Date.now());
  parts.pending.push({ n: parts.last, ...what });
  parts.stage.classList.add("busy");
  parts.send({ acts: parts.pending });
  sketch(parts);
}

function listen(parts) {
  const { stage } = parts;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    stage.setPointerCapture(event.pointerId);
    stage.focus({ preventScroll: true });
    event.preventDefault();
    parts.cursor = null;
    begin(parts, place(parts, event));
  });
  stage.addEventListener("pointermove", (event) => {
    if (parts.line && stage.hasPointerCapture(event.pointerId)) extend(parts, place(parts, event));
  });
  stage.addEventListener("pointerup", (event) => {
    if (parts.line && stage.hasPointerCapture(event.pointerId)) finish(parts, place(parts, event));
  });
  stage.addEventListener("pointercancel", () => begin(parts, null));
  stage.addEventListener("blur", () => { parts.cursor = null; begin(parts, null); });
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !byKey(parts, event)) return;
    event.preventDefault(); event.stopPropagation();
  });
}

// By keyboard: arrow keys move a cross, Enter puts the tool down and lifts it again.
function byKey(parts, event) {
  const step = KEYS[event.key];
  if (event.key === "Escape") {
    if (parts.line) { begin(parts, null); told(parts, "the stroke was dropped"); }
    else act(parts, { undo: true });
    return true;
  }
  const isEnter = event.key === "Enter" || event.key === " ";
  if (!step && !isEnter) return false;
  const isFirst = parts.cursor === null;
  if (isFirst) parts.cursor = [parts.side >> 1, parts.side >> 1];
  if (isFirst && !parts.line) { told(parts, "Enter begins"); sketch(parts); return true; }
  if (isEnter) {
    if (parts.line) { finish(parts, parts.cursor); told(parts, "stroke ended"); }
    else { begin(parts, parts.cursor); told(parts, "painting; Enter ends, Escape drops it"); }
    return true;
  }
  const far = event.shiftKey ? 10 : 1;
  parts.cursor = parts.cursor.map((value, axis) => Math.min(parts.side - 1, Math.max(0, value + far * step[axis])));
  if (parts.line) extend(parts, parts.cursor);
  told(parts, parts.line ? "painting; Enter ends, Escape drops it" : "Enter begins");
  sketch(parts);
  return true;
}

function told(parts, what) {
  parts.told.textContent = `Row ${parts.cursor[0]}, column ${parts.cursor[1]}: ${what}`;
}

// Each tool keeps its own size and strength.
function takeTool(parts) {
  const tool = parts.kinds[parts.kind];
  for (const name of ["size", "strength"]) {
    parts[name].value = recall(`${parts.kind}.${name}`, tool[name]);
    parts[name].tell();
  }
  const isErasing = parts.kind === "eraser";
  parts.strength.disabled = isErasing;
  parts.colour.disabled = isErasing || parts.kind === "patch";
  parts.told.textContent = tool.help;
}

// The sketch: what the server has not painted yet, and the stroke that is being painted.

function sketch(parts) {
  const { sheet, side } = parts;
  const scale = sheet.width / side;
  const pen = sheet.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, sheet.width, sheet.height);
  pen.setTransform(scale, 0, 0, scale, scale / 2, scale / 2); // a pixel's middle
  for (const { stroke } of parts.pending) if (stroke) drawStroke(parts, pen, stroke);
  if (parts.line) {
    drawStroke(parts, pen, { kind: parts.kind, points: parts.line, size: Number(parts.size.value),
      colour: [1, 3, 5].map((i) => parseInt(parts.colour.value.slice(i, i + 2), 16)), strength: parts.strength.value });
  }
  if (parts.cursor) drawCross(parts, pen);
}

function drawStroke(parts, pen, stroke) {
  pen.save();
  pen.lineCap = "round"; pen.lineJoin = "round";
  pen.globalAlpha = stroke.kind === "stain" ? stroke.strength / 200 : stroke.strength / 100;
  const half = stroke.size / 2;
  if (stroke.kind === "patch") {
    const [from, to] = [stroke.points[0], stroke.points[stroke.points.length - 1]];
    const corner = (at) => at - Math.floor(half) - 0.5;
    const scale = parts.photo.naturalWidth / parts.side;
    pen.drawImage(parts.photo, (corner(from[1]) + 0.5) * scale, (corner(from[0]) + 0.5) * scale,
      stroke.size * scale, stroke.size * scale, corner(to[1]), corner(to[0]), stroke.size, stroke.size);
    pen.globalAlpha = 1; pen.lineWidth = 1;
    for (const [at, dash] of [[from, [3, 3]], [to, []]]) {
      for (const [colour, width] of [["#000", 1.6], ["#ffd500", 0.8]]) {
        pen.strokeStyle = colour; pen.lineWidth = width; pen.setLineDash(dash);
        pen.strokeRect(corner(at[1]), corner(at[0]), stroke.size, stroke.size);
      }
    }
  } else {
    pen.strokeStyle = stroke.kind === "eraser" ? "rgb(255 255 255 / 50%)" : `rgb(${stroke.colour.join(" ")})`;
    if (stroke.kind === "eraser") pen.globalAlpha = 1;
    pen.lineWidth = stroke.kind === "scratch" ? Math.max(1, 0.75 * stroke.size) : stroke.size;
    pen.beginPath();
    const [[y, x]] = stroke.points;
    pen.moveTo(x, y);
    for (const [row, column] of stroke.points) pen.lineTo(column, row);
    pen.stroke();
  }
  pen.restore();
}

function drawCross(parts, pen) {
  const [y, x] = parts.cursor;
  const half = Math.max(2, parts.size.value / 2);
  for (const [colour, width] of [["#000", 2], ["#ffd500", 1]]) {
    pen.strokeStyle = colour; pen.lineWidth = width;
    pen.beginPath();
    if (parts.kind === "patch") pen.rect(x - half, y - half, 2 * half, 2 * half);
    else pen.arc(x, y, half, 0, 2 * Math.PI);
    pen.moveTo(x - half - 4, y); pen.lineTo(x + half + 4, y);
    pen.moveTo(x, y - half - 4); pen.lineTo(x, y + half + 4);
    pen.stroke();
  }
}

// What the detectors say

function panel(parts, index) {
  if (parts.panels[index]) return parts.panels[index];
  const own = make("div", "part judges", parts.row);
  const made = { own };
  made.name = make("div", "name", own);
  made.square = make("div", "square", own);
  made.square.setAttribute("role", "img");
  made.photo = make("img", "", made.square);
  made.heat = make("img", "heat", made.square);
  for (const image of [made.photo, made.heat]) { image.alt = ""; image.draggable = false; }
  made.cover = make("div", "cover", made.square);
  make("span", "", made.cover).textContent = "Your prediction first: is it found, and where is the heat?";
  button(made.cover, "Show the heat", "What the detector says of the painted photo", () => {
    parts.shown = parts.exercise;
    parts.panels.forEach((other) => reveal(parts, other));
    made.square.tabIndex = -1;
    made.square.focus();
  });
  made.says = make("div", "says", own);
  made.says.setAttribute("role", "status");
  const scale = make("div", "scale", own);
  made.low = make("span", "", scale); made.ramp = make("span", "ramp", scale); made.high = make("span", "", scale);
  made.unit = make("div", "unit", own);
  parts.panels[index] = made;
  return made;
}

function reveal(parts, made) {
  const isHidden = parts.exercise !== "" && parts.shown !== parts.exercise;
  made.cover.style.display = isHidden ? "" : "none";
  made.says.textContent = isHidden ? "" : made.text;
  made.square.setAttribute("aria-label", isHidden ? `${made.name.textContent}: the heat is hidden` : made.alt);
}

function setSource(image, url) {
  if (image.dataset.url === url) return false;
  image.dataset.url = url;
  image.src = url;
  return true;
}

function update(parts, data) {
  parts.side = data.side; parts.most = data.most_points; parts.exercise = data.exercise;
  parts.kinds = Object.fromEntries(data.kinds.map((kind) => [kind.name, kind]));
  parts.pending = parts.pending.filter((one) => one.n > data.done);
  parts.stage.classList.toggle("busy", parts.pending.length > 0);
  parts.stage.setAttribute("aria-label", data.alt);
  const side = data.side * Math.max(1, Math.round(1024 / data.side));
  if (parts.sheet.width !== side) { parts.sheet.width = side; parts.sheet.height = side; }
  const isNew = setSource(parts.photo, data.photo); // what it shows is sketched until it is loaded
  parts.undo.disabled = data.strokes === 0; parts.clear.disabled = data.strokes === 0;
  parts.row.style.setProperty("--columns", data.panels.length + 1);
  parts.row.style.setProperty("--panels", data.panels.length);
  data.panels.forEach((one, index) => {
    const made = panel(parts, index);
    made.name.textContent = one.name;
    setSource(made.photo, data.photo);
    setSource(made.heat, one.heat);
    made.heat.style.maskImage = `url("${one.alpha}")`;
    made.heat.style.maskSize = "100% 100%"; made.heat.style.maskMode = "luminance";
    made.heat.style.opacity = "0.7";
    made.low.textContent = one.low; made.high.textContent = one.high; made.unit.textContent = one.unit;
    made.ramp.style.background = `linear-gradient(to right, ${one.colours.join(",")})`;
    made.text = one.says; made.alt = one.alt;
    reveal(parts, made);
  });
  for (const extra of parts.panels.splice(data.panels.length)) extra.own.remove();
  if (parts.photoNamed !== data.named) { parts.photoNamed = data.named; takeTool(parts); }
  if (!isNew) sketch(parts);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const figure = parentElement.querySelector("figure");
  if (!figure.parts) figure.parts = build(figure, data);
  figure.parts.send = (value) => setTriggerValue("act", value);
  update(figure.parts, data);
}
