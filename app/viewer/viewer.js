// One picture viewer for every page: a photo, heat over it, an outline, boxes, and a second photo
// behind a wipe. Opacity, wipe, zoom and outline live here, so that none of them asks the server;
// so does the box that follows the mouse where a click places one.
// Streamlit calls the default function again at every rerun with new data; the elements are made
// once and only what changed is set, so nothing flickers and a drag is not interrupted.

const SVG = "http://www.w3.org/2000/svg";
const MAX_ZOOM = 16;
const SNAP = 6; // image pixels from the mouse to the nearest allowed place that is taken for it

function make(tag, className, parent) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (parent) parent.appendChild(element);
  return element;
}

function draw(svg, tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  svg.appendChild(element);
  return element;
}

// Comfort, not truth: kept for this browser tab only, silently absent where storage is forbidden.
function recall(name, fallback) {
  try {
    const kept = window.sessionStorage.getItem(`cutswap.${name}`);
    return kept === null ? fallback : Number(kept);
  } catch { return fallback; }
}
function remember(name, value) {
  try { window.sessionStorage.setItem(`cutswap.${name}`, String(value)); } catch { /* forbidden */ }
}

function build(figure) {
  const view = { scale: 1, x: 0, y: 0 };
  const parts = { figure, view };
  const frame = make("div", "frame", figure); // the handle is no part of what is one image to a reader
  parts.stage = make("div", "stage", frame);
  parts.stage.tabIndex = 0;
  parts.stage.setAttribute("role", "img");
  parts.pan = make("div", "pan", parts.stage);
  parts.base = make("img", "base", parts.pan);
  parts.heat = make("img", "heat", parts.pan);
  parts.after = make("img", "after", parts.pan);
  for (const image of [parts.base, parts.heat, parts.after]) { image.alt = ""; image.draggable = false; }
  parts.svg = document.createElementNS(SVG, "svg");
  parts.svg.setAttribute("preserveAspectRatio", "none");
  parts.pan.appendChild(parts.svg);
  parts.cut = make("div", "cut", parts.stage);
  parts.handle = make("div", "handle", frame);
  parts.handle.tabIndex = 0;
  parts.handle.textContent = "\u2194";
  parts.handle.title = "drag here or on the picture, or press the arrow keys: wipes between the two pictures";
  parts.handle.setAttribute("role", "slider");
  parts.handle.setAttribute("aria-label", "how much of the second picture is covered");
  parts.handle.setAttribute("aria-valuemin", "0");
  parts.handle.setAttribute("aria-valuemax", "100");
  parts.leftTag = make("div", "tag left", parts.stage);
  parts.rightTag = make("div", "tag right", parts.stage);
  parts.bar = make("div", "bar", figure);
  parts.opacity = make("input", "", make("label", "", parts.bar));
  parts.opacity.type = "range"; parts.opacity.min = "0"; parts.opacity.max = "100";
  parts.heatName = document.createTextNode("");
  parts.opacity.before(parts.heatName);
  parts.outlineLabel = make("label", "", parts.bar);
  parts.outline = make("input", "", parts.outlineLabel);
  parts.outline.type = "checkbox";
  parts.outlineText = document.createTextNode("");
  parts.outlineLabel.append(parts.outlineText);
  const zoom = make("span", "zoom", parts.bar);
  const buttons = [["−", "zoom out", () => zoomBy(parts, 1 / 1.6)], ["1:1", "reset zoom", () => reset(parts)],
    ["+", "zoom in", () => zoomBy(parts, 1.6)]];
  for (const [text, title, act] of buttons) {
    const button = make("button", "", zoom);
    button.type = "button"; button.textContent = text; button.title = title;
    button.setAttribute("aria-label", title);
    button.addEventListener("click", act);
  }
  parts.legend = make("div", "legend", figure);
  parts.told = make("div", "told", figure);
  parts.told.setAttribute("role", "status");
  parts.caption = make("figcaption", "", figure);
  parts.opacity.addEventListener("input", () => { remember(`opacity.${parts.memory}`, parts.opacity.value); apply(parts); });
  parts.outline.addEventListener("change", () => { remember(`outline.${parts.memory}`, parts.outline.checked ? 1 : 0); apply(parts); });
  listen(parts);
  return parts;
}

function listen(parts) {
  const { stage, view } = parts;
  let from = null;
  listenToHandle(parts);
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the wheel alone scrolls the page; a pinch says Ctrl
    event.preventDefault();
    zoomBy(parts, Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, y: event.clientY, panX: view.x, panY: view.y, moved: false };
    if (view.scale > 1 || parts.hasAfter) stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointerleave", () => { if (parts.picking) point(parts, null); });
  stage.addEventListener("pointermove", (event) => {
    if (parts.picking && !(from && from.moved)) point(parts, nearest(parts, pixel(parts, event)));
    if (!from) return;
    const dx = event.clientX - from.x, dy = event.clientY - from.y;
    if (Math.hypot(dx, dy) > 4) from.moved = true;
    if (!from.moved) return;
    if (view.scale > 1) { view.x = from.panX + dx; view.y = from.panY + dy; moved(parts); }
    else if (parts.hasAfter) wipeTo(parts, shareAt(parts, event));
  });
  stage.addEventListener("pointerup", (event) => {
    if (from && !from.moved && parts.picking) {
      const at = pixel(parts, event);
      if (at) pick(parts, nearest(parts, at) || at); // a place that is not allowed: the server says why
    } else if (from && !from.moved && parts.clickable) {
      const box = parts.pan.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
      if (x >= 0 && x < 1 && y >= 0 && y < 1) parts.report({ x, y, n: Date.now() });
    }
    from = null;
  });
  stage.addEventListener("pointercancel", () => { from = null; });
  stage.addEventListener("keydown", (event) => {
    const step = 40;
    const pans = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.key === "+" || event.key === "=") zoomBy(parts, 1.6);
    else if (event.key === "-") zoomBy(parts, 1 / 1.6);
    else if (event.key === "0") reset(parts);
    else if (parts.picking && pickByKey(parts, event)) { /* done */ }
    else if (view.scale === 1 && parts.hasAfter && wipeByKey(parts, event)) { /* done */ }
    else if (view.scale > 1 && pans[event.key]) {
      view.x += pans[event.key][0]; view.y += pans[event.key][1]; moved(parts);
    } else return;
    event.preventDefault(); event.stopPropagation();
  });
  // Panels of one group move together; positions are shares of the stage, so sizes may differ.
  window.addEventListener("cutswap-view", (event) => {
    const { group, from: sender, scale, x, y } = event.detail;
    if (!parts.group || group !== parts.group || sender === parts) return;
    if (!parts.figure.isConnected) return;
    Object.assign(view, { scale, x: x * stage.clientWidth, y: y * stage.clientHeight });
    apply(parts);
  });
}

// The wipe: a line that is dragged anywhere on the picture; once zoomed in a drag moves the picture,
// and the handle is what wipes.

function listenToHandle(parts) {
  const { handle } = parts;
  handle.addEventListener("pointerdown", (event) => { handle.setPointerCapture(event.pointerId); });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) wipeTo(parts, shareAt(parts, event));
  });
  handle.addEventListener("keydown", (event) => {
    if (!wipeByKey(parts, event)) return;
    event.preventDefault(); event.stopPropagation();
  });
}

function shareAt(parts, event) {
  const box = parts.pan.getBoundingClientRect();
  return (100 * (event.clientX - box.left)) / box.width;
}

function wipeTo(parts, share) {
  parts.share = Math.min(100, Math.max(0, share));
  remember(`wipe.${parts.memory}`, parts.share);
  apply(parts);
}

function wipeByKey(parts, event) {
  const steps = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10,
    Home: -100, End: 100 };
  if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return false;
  wipeTo(parts, parts.share + steps[event.key]);
  return true;
}

// Picking: a box follows the mouse or the arrow keys, by its upper-left corner, and a click or Enter
// reports that pixel; Escape takes the last one back.

function pixel(parts, event) {
  const box = parts.pan.getBoundingClientRect();
  const x = Math.floor((parts.width * (event.clientX - box.left)) / box.width);
  const y = Math.floor((parts.height * (event.clientY - box.top)) / box.height);
  return x >= 0 && x < parts.width && y >= 0 && y < parts.height ? { x, y } : null;
}

function isAllowed(parts, at) {
  if (!at || at.x < 0 || at.y < 0 || at.x >= parts.width || at.y >= parts.height) return false;
  const index = at.y * parts.width + at.x;
  return ((parts.allowed[index >> 3] >> (7 - (index & 7))) & 1) === 1;
}

function nearest(parts, at, reach = SNAP) {
  if (!at || isAllowed(parts, at)) return at;
  let best = null, least = (reach + 0.5) ** 2;
  const top = Math.max(0, at.y - reach), bottom = Math.min(parts.height - 1, at.y + reach);
  const left = Math.max(0, at.x - reach), right = Math.min(parts.width - 1, at.x + reach);
  for (let y = top; y <= bottom; y += 1) {
    for (let x = left; x <= right; x += 1) {
      const distance = (y - at.y) ** 2 + (x - at.x) ** 2;
      if (distance < least && isAllowed(parts, { x, y })) { best = { x, y }; least = distance; }
    }
  }
  return best;
}

function point(parts, at, byKey) {
  parts.cursor = at;
  drawGhost(parts);
  if (!byKey) { parts.told.textContent = ""; return; }
  const fits = isAllowed(parts, at) ? "Enter places it here" : "not here";
  parts.told.textContent = `Row ${at.y}, column ${at.x}: ${fits}`;
}

function pick(parts, at) { parts.reportPick({ ...at, n: Date.now() }); }

function pickByKey(parts, event) {
  const step = event.shiftKey ? 10 : 1;
  const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  if (event.key === "Escape") { parts.reportPick({ undo: true, n: Date.now() }); return true; }
  const start = parts.cursor || nearest(parts,
    { x: parts.width >> 1, y: parts.height >> 1 }, Math.max(parts.width, parts.height));
  if (!start) return false; // no place is allowed
  if (event.key === "Enter" || event.key === " ") {
    if (parts.cursor) pick(parts, start); else point(parts, start, true);
    return true;
  }
  const by = steps[event.key];
  if (!by) return false;
  const clip = (value, end) => Math.min(end - 1, Math.max(0, value));
  point(parts, parts.cursor
    ? { x: clip(start.x + by[0], parts.width), y: clip(start.y + by[1], parts.height) } : start, true);
  return true;
}

function drawGhost(parts) {
  for (const old of parts.svg.querySelectorAll(".ghost")) old.remove();
  const { picking, cursor } = parts;
  parts.stage.classList.toggle("refused", Boolean(picking) && !cursor);
  if (!picking || !cursor) return;
  const at = { x: cursor.x, y: cursor.y, width: picking.w, height: picking.h, fill: "none",
    class: "ghost", "vector-effect": "non-scaling-stroke" };
  draw(parts.svg, "rect", { ...at, stroke: "#000", "stroke-width": 5 });
  const line = draw(parts.svg, "rect", { ...at, stroke: picking.colour, "stroke-width": 2.5 });
  if (!isAllowed(parts, cursor)) line.setAttribute("stroke-dasharray", "3 5");
}

function readBits(text) { return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)); }

function zoomBy(parts, factor, clientX, clientY) {
  const { view, stage } = parts;
  const box = stage.getBoundingClientRect();
  const px = clientX === undefined ? box.width / 2 : clientX - box.left;
  const py = clientY === undefined ? box.height / 2 : clientY - box.top;
  const scale = Math.min(MAX_ZOOM, Math.max(1, view.scale * factor));
  view.x = px - (px - view.x) * (scale / view.scale);
  view.y = py - (py - view.y) * (scale / view.scale);
  view.scale = scale;
  moved(parts);
}

function reset(parts) { Object.assign(parts.view, { scale: 1, x: 0, y: 0 }); moved(parts); }

function moved(parts) {
  apply(parts);
  const { view, stage, group } = parts;
  if (!group) return;
  const detail = { group, from: parts, scale: view.scale, x: view.x / stage.clientWidth, y: view.y / stage.clientHeight };
  window.dispatchEvent(new CustomEvent("cutswap-view", { detail }));
}

function apply(parts) {
  const { view, stage } = parts;
  const width = stage.clientWidth, height = stage.clientHeight;
  view.x = Math.min(0, Math.max(width * (1 - view.scale), view.x));
  view.y = Math.min(0, Math.max(height * (1 - view.scale), view.y));
  parts.pan.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  stage.classList.toggle("zoomed", view.scale > 1);
  parts.heat.style.opacity = String(parts.opacity.value / 100);
  const { share } = parts;
  parts.after.style.clipPath = `inset(0 0 0 ${share}%)`;
  const edge = view.x + (share / 100) * width * view.scale;
  parts.cut.style.left = `${edge}px`;
  parts.handle.style.left = `clamp(1.1rem, ${edge}px, 100% - 1.1rem)`;
  parts.handle.setAttribute("aria-valuenow", String(Math.round(share)));
  parts.handle.setAttribute("aria-valuetext", `${Math.round(share)}% ${parts.leftTag.textContent}`);
  const marks = parts.svg.querySelectorAll(".outline");
  for (const mark of marks) mark.style.display = parts.outline.checked ? "" : "none";
}

function setSource(image, url) {
  if (image.dataset.url === (url || "")) return;
  image.dataset.url = url || "";
  if (url) image.src = url; else image.removeAttribute("src");
  image.style.display = url ? "" : "none";
}

// By luminance, so that a JPEG will do: a PNG with an alpha channel takes ten times as long.
function setAlpha(image, url) {
  if (image.dataset.alpha === (url || "")) return;
  image.dataset.alpha = url || "";
  image.style.maskImage = url ? `url("${url}")` : "none";
  image.style.maskSize = "100% 100%";
  image.style.maskMode = "luminance";
}

function update(parts, data) {
  const id = data.memory;
  if (parts.memory !== id) {
    parts.memory = id;
    parts.opacity.value = recall(`opacity.${id}`, data.opacity);
    parts.share = recall(`wipe.${id}`, 50);
    parts.outline.checked = recall(`outline.${id}`, 1) === 1;
  }
  parts.group = data.group;
  parts.clickable = data.clickable;
  parts.hasAfter = Boolean(data.after);
  parts.width = data.width; parts.height = data.height;
  parts.picking = data.picking;
  if (data.picking && parts.bits !== data.picking.allowed) {
    parts.bits = data.picking.allowed;
    parts.allowed = readBits(parts.bits);
  }
  if (!data.picking) { parts.cursor = null; parts.told.textContent = ""; }
  parts.stage.setAttribute("role", data.picking ? "application" : "img"); // with keys of its own
  parts.stage.classList.toggle("wipes", parts.hasAfter && !data.picking);
  parts.stage.style.aspectRatio = `${data.width} / ${data.height}`;
  parts.stage.setAttribute("aria-label", data.alt);
  parts.stage.title = data.clickable ? data.click_help : "";
  parts.heatName.textContent = data.heat_name;
  parts.opacity.setAttribute("aria-label", `opacity of ${data.heat_name.toLowerCase()} over the photo`);
  parts.opacity.parentElement.title = parts.opacity.getAttribute("aria-label");
  setSource(parts.base, data.base);
  setSource(parts.heat, data.heat);
  setAlpha(parts.heat, data.heat_alpha);
  setSource(parts.after, data.after);
  show(parts.opacity.parentElement, data.heat);
  show(parts.cut, data.after);
  show(parts.handle, data.after);
  show(parts.told, data.picking);
  show(parts.outlineLabel, data.outline.length);
  parts.outlineText.textContent = data.outline_name;
  tag(parts.leftTag, data.left); tag(parts.rightTag, data.right);
  drawShapes(parts, data);
  drawLegend(parts.legend, data.legend);
  parts.caption.textContent = data.caption;
  show(parts.caption, data.caption);
  apply(parts);
}

function show(element, wanted) { element.style.display = wanted ? "" : "none"; }
function tag(element, text) { element.textContent = text || ""; show(element, text); }

function drawShapes(parts, data) {
  const { svg } = parts;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${data.width} ${data.height}`);
  const both = [["#000", 4], ["#fff", 1.8]]; // white on black is seen on any ground
  for (const path of data.outline) {
    for (const [stroke, width] of both) {
      draw(svg, "path", { d: path, fill: "none", stroke, "stroke-width": width, class: "outline",
        "vector-effect": "non-scaling-stroke" });
    }
  }
  for (const box of data.boxes) {
    const at = { x: box.x, y: box.y, width: box.w, height: box.h, fill: "none", "vector-effect": "non-scaling-stroke" };
    const turn = box.angle ? { transform: `rotate(${-box.angle} ${box.x + box.w / 2} ${box.y + box.h / 2})` } : {};
    draw(svg, "rect", { ...at, ...turn, stroke: "#000", "stroke-width": 5 });
    const line = draw(svg, "rect", { ...at, ...turn, stroke: box.colour, "stroke-width": 2.5 });
    if (box.dashed) line.setAttribute("stroke-dasharray", "6 4");
  }
  for (const point of data.points) {
    const size = data.width / 90;
    draw(svg, "circle", { cx: point.x, cy: point.y, r: size, fill: point.colour, stroke: "#000", "stroke-width": size / 3 });
  }
  for (const text of [...data.boxes, ...data.points].filter((shape) => shape.label)) {
    const size = data.width / 22;
    const x = Math.min(data.width - size * (0.35 + 0.6 * text.label.length), Math.max(size * 0.2, text.x + size * 0.2));
    const label = draw(svg, "text", { x, y: Math.max(size, text.y - size * 0.25), "font-size": size, fill: "#fff",
      stroke: "#000", "stroke-width": size / 6, "paint-order": "stroke", "font-family": "sans-serif" });
    label.textContent = text.label;
  }
  drawGhost(parts);
}

function drawLegend(legend, data) {
  legend.replaceChildren();
  show(legend, data);
  if (!data) return;
  if (data.colours) {
    const scale = make("div", "scale", legend);
    make("span", "", scale).textContent = data.low;
    const ramp = make("span", "ramp", scale);
    ramp.style.background = `linear-gradient(to right, ${data.colours.join(",")})`;
    for (const mark of data.marks || []) {
      const line = make("span", "mark", ramp);
      line.style.left = `${100 * mark.at}%`;
      line.title = mark.name;
    }
    make("span", "", scale).textContent = data.high;
  }
  if (data.swatches) {
    const list = make("div", "swatches", legend);
    for (const swatch of data.swatches) {
      const item = make("span", "", list);
      make("i", "", item).style.background = swatch.colour;
      item.append(swatch.name);
    }
  }
  if (data.unit) make("div", "unit", legend).textContent = data.unit;
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const figure = parentElement.querySelector("figure");
  if (!figure.parts) figure.parts = build(figure);
  figure.parts.report = (place) => setTriggerValue("clicked", place);
  figure.parts.reportPick = (place) => setTriggerValue("picked", place);
  update(figure.parts, data);
}
