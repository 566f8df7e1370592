// A photo to what the detector says of it, and the page around that.
const $ = (id) => document.getElementById(id);
const MOST_SHOWN = 1600; // pixels a side of the picture
const state = { session: null, runtime: null, card: null, rows: [], shown: null, busy: false };

async function inflated(bytes, format) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpacked(id) {
  const text = atob($(id).textContent);
  $(id).remove();
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return inflated(bytes, "gzip");
}

// Reading

// 16 bits a colour: browsers keep 8 of them, in ways of their own. Null: not such a PNG.
async function deepPng(bytes, bits) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33 || view.getUint32(0) !== 0x89504e47 || bytes[24] !== 16) return null;
  const [width, height, kind] = [view.getUint32(16), view.getUint32(20), bytes[25]];
  if (kind !== 0 && kind !== 2) return null;
  const parts = [];
  let is_plain = bytes[28] === 0; // not interlaced
  for (let at = 8; at + 8 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
    if (name === "eXIf" || name === "tRNS") is_plain = false;
  }
  if (!is_plain) throw new Error("a PNG of 16 bits that is interlaced, turned or transparent");
  const raw = await inflated(new Blob(parts), "deflate");
  const step = kind === 0 ? 2 : 6;
  const line = width * step;
  if (raw.length < height * (line + 1)) throw new Error("a PNG that ends too early");
  const rows = new Uint8Array(height * line);
  for (let y = 0; y < height; y += 1) {
    const from = y * (line + 1) + 1;
    const to = y * line;
    const filter = raw[from - 1];
    for (let x = 0; x < line; x += 1) {
      const a = x >= step ? rows[to + x - step] : 0;
      const b = y ? rows[to + x - line] : 0;
      const c = x >= step && y ? rows[to + x - line - step] : 0;
      let guess = [0, a, b, (a + b) >> 1][filter];
      if (filter === 4) {
        const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
        guess = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      }
      rows[to + x] = raw[from + x] + guess;
    }
  }
  const full = 2 ** (bits ?? 16) - 1;
  const share = Math.fround(255 / full);
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i += 1) {
    for (let c = 0; c < 3; c += 1) {
      const at = i * step + (kind === 0 ? 0 : 2 * c);
      let level = rows[at]; // of colours the upper 8 bits
      if (kind === 0) level = rint(Math.fround(((rows[at] << 8) | rows[at + 1]) * share));
      if (level > 255) throw new Error(`grey values outside 0..${full}`);
      data[4 * i + c] = level;
    }
    data[4 * i + 3] = 255;
  }
  return new ImageData(data, width, height);
}

// What is drawn, a bitmap or a video, on white: numbers as they are in the file, no colour profile.
function pixelsOf(drawn, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(drawn, 0, 0);
  return pen.getImageData(0, 0, width, height);
}

async function photoOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const deep = await deepPng(bytes, state.card.bits);
  if (deep) return deep;
  const how = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes], { type: file.type }), how);
  } catch {
    throw new Error("no picture that this browser can read (PNG, JPEG, BMP and WebP are)");
  }
  try {
    return pixelsOf(bitmap, bitmap.width, bitmap.height);
  } catch {
    throw new Error("a picture too large for this browser");
  } finally {
    bitmap.close();
  }
}

// Scoring

async function scored(photo) {
  const size = state.card.image_size;
  const { Tensor } = state.runtime;
  const input = new Tensor("uint8", squareOf(photo, state.card), [1, size, size, 3]);
  const began = performance.now();
  const told = await state.session.run({ photo: input });
  return {
    score: told.score.data[0],
    heatmap: told.heatmap.data,
    verdict: told.is_defective.data[0] ? "defective" : "good",
    p_value: told.p_value ? told.p_value.data[0] : null,
    network_ms: performance.now() - began,
  };
}

// Showing

function heatPicture(heatmap) {
  const { image_size: size, colours, range, region } = state.card;
  const picture = new ImageData(size, size);
  const span = Math.max(range[1] - range[0], 1e-30);
  for (let i = 0; i < size * size; i += 1) {
    const share = Math.min(1, Math.max(0, (heatmap[i] - range[0]) / span));
    const colour = 3 * Math.trunc(share * 255);
    const y = Math.trunc(i / size);
    const x = i - y * size;
    const is_inside = !region || (parseInt(region[y][x >> 2], 16) >> (3 - (x & 3))) & 1;
    for (let c = 0; c < 3; c += 1) picture.data[4 * i + c] = is_inside ? colours[colour + c] : 0;
    picture.data[4 * i + 3] = is_inside ? 255 * share : 128; // the photo stays clear where it is cool
  }
  const canvas = new OffscreenCanvas(size, size);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

function draw() {
  const shown = state.shown;
  if (!shown) return;
  const canvas = $("picture");
  const { width, height } = shown.photo;
  const factor = Math.min(1, MOST_SHOWN / Math.max(width, height));
  // Small photos are shown larger, in their own shape.
  const scale = Math.max(factor, Math.min(4, 640 / Math.max(width, height)));
  const { source, target } = frameOf(width, height, state.card);
  canvas.width = Math.round(source[2] * scale);
  canvas.height = Math.round(source[3] * scale);
  const pen = canvas.getContext("2d");
  pen.drawImage(shown.bitmap, ...source, 0, 0, canvas.width, canvas.height);
  if (!shown.heat) return;
  pen.globalAlpha = $("opacity").value / 100;
  pen.drawImage(shown.heat, ...target, 0, 0, canvas.width, canvas.height);
}

function bitmapOf(photo) {
  const canvas = new OffscreenCanvas(photo.width, photo.height);
  canvas.getContext("2d").putImageData(photo, 0, 0);
  return canvas;
}

function show(row, photo, told) {
  state.shown = { photo, bitmap: bitmapOf(photo), heat: heatPicture(told.heatmap) };
  $("result").hidden = false;
  draw();
  const is_bad = row.verdict === "defective";
  $("name").textContent = row.name;
  $("verdict").textContent = is_bad ? "✖ defective" : "✔ good";
  $("verdict").className = row.verdict;
  $("here").parentElement.className = `line ${row.verdict}`;
  const share = state.card.threshold > 0 ? row.score / state.card.threshold / 2 : 0.5;
  $("here").style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  $("score").textContent = row.score.toPrecision(4);
  $("p_row").hidden = row.p_value === null;
  if (row.p_value !== null) $("p_value").textContent = row.p_value.toPrecision(2);
  $("time").textContent = `${Math.round(row.ms)} ms`;
  $("time").title = `of which the network ${Math.round(row.network_ms)} ms`;
  $("picture").setAttribute("aria-label", `${row.name} with its heat: ${row.verdict}`);
}

function say(text, is_bad = false) {
  $("says").textContent = text;
  $("says").className = is_bad ? "bad" : "";
}

function counts() {
  const number = (verdict) => state.rows.filter((row) => row.verdict === verdict).length;
  const parts = [`${number("good")} good`, `${number("defective")} defective`];
  if (number("unreadable")) parts.push(`${number("unreadable")} not read`);
  return parts.join(", ");
}

function addRow(row) {
  state.rows.push(row);
  const line = document.createElement("tr");
  const add = (text, kind = "") => {
    const cell = document.createElement("td");
    cell.textContent = text;
    cell.className = kind;
    line.append(cell);
    return cell;
  };
  const name = add("");
  if (row.file && row.verdict !== "unreadable") {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = row.name;
    button.addEventListener("click", () => again(row));
    name.append(button);
  } else name.textContent = row.name;
  const mark = { good: "✔ good", defective: "✖ defective" }[row.verdict];
  add(mark ?? `unreadable: ${row.problem}`, row.verdict);
  add(row.score === null ? "" : row.score.toPrecision(4));
  add(row.p_value === null ? "" : row.p_value.toPrecision(2));
  add(row.ms === null ? "" : Math.round(row.ms));
  $("rows").prepend(line);
  $("list").hidden = false;
}

async function take(name, read, file = null) {
  const row = { name, file, verdict: "unreadable", problem: "", score: null, p_value: null, ms: null };
  const began = performance.now();
  let photo;
  try {
    photo = await read();
  } catch (error) {
    row.problem = error.message;
    addRow(row);
    say(`${name}: ${error.message}.`, true);
    return;
  }
  const told = await scored(photo);
  Object.assign(row, { ...told, ms: performance.now() - began, heatmap: null });
  addRow(row);
  show(row, photo, told);
}

async function again(row) {
  if (state.busy) return;
  const photo = await photoOf(row.file);
  show(row, photo, await scored(photo));
  $("result").scrollIntoView({ block: "nearest" });
}

async function takeAll(files) {
  if (state.busy || !files.length) return;
  state.busy = true;
  try {
    for (const [place, file] of files.entries()) {
      say(files.length > 1 ? `Scoring ${place + 1} of ${files.length} …` : "Scoring …");
      await new Promise((done) => setTimeout(done)); // let the page be drawn
      await take(file.webkitRelativePath || file.name, () => photoOf(file), file);
    }
    if (files.length > 1 || state.rows.at(-1).verdict !== "unreadable") {
      say(`${state.rows.length} scored: ${counts()}.`);
    }
  } finally {
    state.busy = false;
  }
}

function asCsv() {
  // A name that no spreadsheet computes.
  const text = (name) => `"${name.replace(/^('*[=+\-@\t\r])/, "'$1").replaceAll('"', '""')}"`;
  const lines = state.rows.map((row) =>
    [text(row.name), row.score?.toPrecision(7) ?? "", row.p_value?.toPrecision(6) ?? "", row.verdict].join(","));
  return ["photo,score,p_value,verdict", ...lines, ""].join("\r\n");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([asCsv()], { type: "text/csv" }));
  link.download = "scores.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// The webcam

const WHY_NOT = {
  NotFoundError: "No webcam was found: choose photos instead.",
  NotAllowedError: "The browser was not allowed to use the webcam: choose photos instead.",
  NotReadableError: "Another program uses the webcam: close it, or choose photos instead.",
};

async function startCamera() {
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "NotFoundError");
    const most = { width: { ideal: 1280 }, facingMode: "environment" };
    $("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: most });
    await $("video").play();
  } catch (error) {
    say(WHY_NOT[error.name] ?? `The webcam cannot be used (${error.name}): choose photos instead.`, true);
    return;
  }
  $("webcam").hidden = false;
  say("The webcam is on; its pictures stay in this page.");
  $("snap").focus();
}

function stopCamera() {
  $("video").srcObject?.getTracks().forEach((track) => track.stop());
  $("video").srcObject = null;
  $("webcam").hidden = true;
  $("live").checked = false;
  say("The webcam is off.");
}

async function snap() {
  const video = $("video");
  if (state.busy || !video.videoWidth) return;
  state.busy = true;
  const name = `webcam ${new Date().toLocaleTimeString()}`;
  await take(name, async () => pixelsOf(video, video.videoWidth, video.videoHeight));
  state.busy = false;
  say(`${state.rows.length} scored: ${counts()}.`);
  if ($("live").checked && video.srcObject) setTimeout(snap, 200);
}

async function start() {
  const text = new TextDecoder();
  state.card = JSON.parse(text.decode(await unpacked("card")));
  const module = async (id) =>
    URL.createObjectURL(new Blob([await unpacked(id)], { type: "text/javascript" }));
  state.runtime = await import(await module("runtime"));
  const { env, InferenceSession } = state.runtime;
  env.wasm.wasmPaths = { mjs: await module("glue") };
  env.wasm.wasmBinary = (await unpacked("wasm")).buffer;
  env.wasm.numThreads = 1; // a page from a file shares no memory with threads
  env.wasm.proxy = false;
  state.session = await InferenceSession.create(await unpacked("network"), {
    executionProviders: ["wasm"],
  });
  const { colours } = state.card;
  const stops = [0, 64, 128, 192, 255].map((i) => `rgb(${colours.slice(3 * i, 3 * i + 3)})`);
  $("ramp").style.background = `linear-gradient(to right, ${stops})`;
  $("files").disabled = $("camera").disabled = false;
  say("Ready: no photo yet.");
}

$("files").addEventListener("change", async () => {
  const files = [...$("files").files];
  $("files").value = ""; // the same photo may be chosen again
  await takeAll(files);
});
$("camera").addEventListener("click", startCamera);
$("stop").addEventListener("click", stopCamera);
$("snap").addEventListener("click", snap);
$("live").addEventListener("change", () => $("live").checked && snap());
$("opacity").addEventListener("input", draw);
$("save").addEventListener("click", save);
$("clear").addEventListener("click", () => {
  state.rows = [];
  state.shown = null;
  $("rows").replaceChildren();
  $("list").hidden = $("result").hidden = true;
  say("Ready: no photo yet.");
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (state.session) takeAll([...event.dataTransfer.files]);
});
start().catch((error) => {
  say(`The detector cannot run in this browser (${error.message}): it needs WebAssembly with SIMD`
    + " and gzip, in browsers of 2023 and later.", true);
});
