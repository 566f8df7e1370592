// From a photo of any shape to the square that the network sees, bit for bit as Pillow 13 makes it:
// bilinear with antialiasing, weights in 22 bits of fixed point, one direction after the other.

const rint = (value) => {
  const near = Math.round(value);
  return near - value === 0.5 && near % 2 ? near - 1 : near; // halves to the even one, as NumPy
};

function coefficients(from, to) {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const found = [];
  for (let place = 0; place < to; place += 1) {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(from, Math.trunc(centre + support + 0.5));
    const shares = [];
    let sum = 0;
    for (let x = first; x < last; x += 1) {
      const share = Math.max(0, 1 - Math.abs((x - centre + 0.5) * (1 / support)));
      shares.push(share);
      sum += share;
    }
    found.push([first, shares.map((share) => Math.trunc(0.5 + (share / sum) * 4194304))]);
  }
  return found;
}

// One direction: `lines` of `from` pixels, 3 colours; `step` and `jump` are what a pixel and a line
// are apart.
function resized(source, from, to, lines, [step, jump, start], [own_step, own_jump], out) {
  const taps = coefficients(from, to);
  for (let line = 0; line < lines; line += 1) {
    for (let place = 0; place < to; place += 1) {
      const [first, shares] = taps[place];
      for (let c = 0; c < 3; c += 1) {
        let sum = 2097152;
        let at = start + line * jump + first * step + c;
        for (let i = 0; i < shares.length; i += 1, at += step) sum += source[at] * shares[i];
        out[line * own_jump + place * own_step + c] = Math.min(255, sum >> 22);
      }
    }
  }
  return out;
}

// Where the photo lies in the square of a card, and the part of it that is seen.
function frameOf(width, height, { image_size: size, resize }) {
  const side = Math.min(width, height);
  const seen = resize === "crop" ? [side, side] : [width, height];
  const longer = Math.max(width, height);
  const shape = [width, height].map((n) =>
    resize === "fit" ? Math.max(1, rint((n * size) / longer)) : size);
  return {
    source: [(width - seen[0]) >> 1, (height - seen[1]) >> 1, ...seen],
    target: [(size - shape[0]) >> 1, (size - shape[1]) >> 1, ...shape],
  };
}

// A photo as ImageData to the square that the network sees, 3 numbers a pixel.
function squareOf(photo, card) {
  const size = card.image_size;
  const { source, target } = frameOf(photo.width, photo.height, card);
  const [left, top, seen_width, seen_height] = source;
  const [beside, above, width, height] = target;
  const start = 4 * (top * photo.width + left);
  const line = 4 * photo.width;
  let small;
  if (seen_height - height > 2 * Math.max(0, seen_width - width)) { // columns first, as Pillow 13
    const columns = resized(
      photo.data, seen_height, height, seen_width, [line, 4, start],
      [3 * seen_width, 3], new Uint8Array(3 * seen_width * height));
    small = resized(
      columns, seen_width, width, height, [3, 3 * seen_width, 0],
      [3, 3 * width], new Uint8Array(3 * width * height));
  } else {
    const rows = resized(
      photo.data, seen_width, width, seen_height, [4, line, start],
      [3, 3 * width], new Uint8Array(3 * width * seen_height));
    small = resized(
      rows, seen_height, height, width, [3 * width, 3, 0],
      [3 * width, 3], new Uint8Array(3 * width * height));
  }
  const square = new Uint8Array(3 * size * size);
  const within = (place, count) => Math.min(count - 1, Math.max(0, place));
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const at = 3 * (within(y - above, height) * width + within(x - beside, width));
      square.set(small.subarray(at, at + 3), 3 * (y * size + x));
    }
  }
  return square;
}
