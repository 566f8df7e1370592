// One picture viewer for every page: a photo, heat over it, an outline, boxes, and a second photo
// behind a wipe. Opacity, wipe, zoom and outline live here, so that none of them asks the server.
// Streamlit calls the default function again at every rerun with new data; the elements are made
// once and only what changed is set, so nothing flickers and a drag is not interrupted.

const SVG = "http://www.w3.org/2000/svg";
const MAX_ZOOM = 16;

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
  parts.stage = make("div", "stage", figure);
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
  parts.leftTag = make("div", "tag left", parts.stage);
  parts.rightTag = make("div", "tag right", parts.stage);
  parts.bar = make("div", "bar", figure);
  parts.opacity = range(parts.bar, "Heat", "opacity of the heat over the photo");
  parts.wipe = range(parts.bar, "Wipe", "how much of the second picture is uncovered");
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
  parts.caption = make("figcaption", "", figure);
  parts.opacity.addEventListener("input", () => { remember(`opacity.${parts.memory}`, parts.opacity.value); apply(parts); });
  parts.wipe.addEventListener("input", () => { remember(`wipe.${parts.memory}`, parts.wipe.value); apply(parts); });
  parts.outline.addEventListener("change", () => { remember(`outline.${parts.memory}`, parts.outline.checked ? 1 : 0); apply(parts); });
  listen(parts);
  return parts;
}

function range(bar, text, help) {
  const label = make("label", "", bar);
  label.title = help;
  label.append(text);
  const input = make("input", "", label);
  input.type = "range"; input.min = "0"; input.max = "100";
  input.setAttribute("aria-label", help);
  return input;
}

function listen(parts) {
  const { stage, view } = parts;
  let from = null;
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the wheel alone scrolls the page; a pinch says Ctrl
    event.preventDefault();
    zoomBy(parts, Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, y: event.clientY, panX: view.x, panY: view.y, moved: false };
    if (view.scale > 1) stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const dx = event.clientX - from.x, dy = event.clientY - from.y;
    if (Math.hypot(dx, dy) > 4) from.moved = true;
    if (view.scale > 1 && from.moved) { view.x = from.panX + dx; view.y = from.panY + dy; moved(parts); }
  });
  stage.addEventListener("pointerup", (event) => {
    if (from && !from.moved && parts.clickable) {
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
  const share = parts.wipe.value;
  parts.after.style.clipPath = `inset(0 0 0 ${share}%)`;
  const edge = view.x + (share / 100) * width * view.scale;
  parts.cut.style.left = `${edge}px`;
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
    parts.wipe.value = recall(`wipe.${id}`, 50);
    parts.outline.checked = recall(`outline.${id}`, 1) === 1;
  }
  parts.group = data.group;
  parts.clickable = data.clickable;
  parts.stage.style.aspectRatio = `${data.width} / ${data.height}`;
  parts.stage.setAttribute("aria-label", data.alt);
  parts.stage.title = data.clickable ? data.click_help : "";
  setSource(parts.base, data.base);
  setSource(parts.heat, data.heat);
  setAlpha(parts.heat, data.heat_alpha);
  setSource(parts.after, data.after);
  show(parts.opacity.parentElement, data.heat);
  show(parts.wipe.parentElement, data.after);
  show(parts.cut, data.after);
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
  update(figure.parts, data);
}
