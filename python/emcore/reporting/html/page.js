"use strict";
// What a result holds, to point at: maps on the left, the signals of what lies under the pointer on the right.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const TYPES = { float32: Float32Array, int32: Int32Array, uint16: Uint16Array, uint8: Uint8Array };

function decoded(field) {
  const text = atob(field.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new TYPES[field.type](bytes.buffer);
}
for (const field of [...data.maps, ...data.signals]) field.values = decoded(field);
if (data.measured) data.measured.values = decoded(data.measured);

// Maps one by one, as they are chosen; the one that tells which group a position is of.
const shown = [];
data.maps.forEach((map, number) => {
  for (let i = 0; i < map.n; i++) shown.push({ map, number, i, name: map.n > 1 ? `${map.title}, ${map.of} ${i + 1}` : map.title });
});
const grouping = data.maps.find((map) => map.labels) || data.maps.find((map) => map.n > 1) || null;
let current = 0, pinned = null, pointed = null, signal = 0;
const visible = new Set();

function colour(i) { return data.colours[i % data.colours.length]; }
function css(i) { const [r, g, b] = colour(i); return `rgb(${r},${g},${b})`; }

function number(value) {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  return size >= 1e5 || (size && size < 1e-3) ? value.toExponential(2) : String(+value.toPrecision(4));
}
const spelled = (units) => units.replace(/^u(?=[a-zA-Z])/, "µ").replace(/^A$/, "Å").replace("1/A", "1/Å");
const quantity = (value, units) => number(value) + (units && units !== "px" ? " " + spelled(units) : "");
const place = (axis, index) => axis.points ? axis.points[Math.round(index)] : axis.offset + axis.scale * index;

// Where a place of one map lies in another: by coordinates of one unit, else by parts of the whole.
function moved(axis, other, index) {
  if (axis.units === other.units && axis.units !== "px" && !axis.points && !other.points)
    return (place(axis, index) - other.offset) / other.scale;
  return ((index + 0.5) * other.size) / axis.size - 0.5;
}
function indexIn(map, spot) {
  const y = Math.round(moved(spot.map.axes[0], map.axes[0], spot.y)), x = Math.round(moved(spot.map.axes[1], map.axes[1], spot.x));
  const [height, width] = map.shape;
  return y >= 0 && x >= 0 && y < height && x < width ? y * width + x : -1;
}
const valueAt = (map, i, spot) => {
  const index = indexIn(map, spot);
  return index < 0 ? NaN : map.values[i * map.shape[0] * map.shape[1] + index];
};
function groupAt(spot) {
  if (!grouping || !spot) return -1;
  if (grouping.labels) { const value = valueAt(grouping, 0, spot); return Number.isNaN(value) ? -1 : value; }
  let best = -1, most = 0;
  for (let i = 0; i < grouping.n; i++) { const value = valueAt(grouping, i, spot); if (value > most) { most = value; best = i; } }
  return best;
}
const groupCount = () => {
  if (!grouping) return 0;
  if (!grouping.labels) return grouping.n;
  let most = -1;
  for (const value of grouping.values) if (value > most) most = value;
  return most + 1;
};

// Viridis by five of its colours.
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function ramp(t) {
  if (at("colours").value === "grey") return [255 * t, 255 * t, 255 * t];
  const s = Math.min(Math.max(t, 0), 1) * 4, k = Math.min(Math.floor(s), 3);
  return [0, 1, 2].map((c) => VIRIDIS[k][c] + (s - k) * (VIRIDIS[k + 1][c] - VIRIDIS[k][c]));
}
function limits(values, start, count, low = 0.005, high = 0.995) {
  const step = Math.max(1, Math.floor(count / 20000)), some = [];
  for (let i = 0; i < count; i += step) { const v = values[start + i]; if (Number.isFinite(v)) some.push(v); }
  if (!some.length) return [0, 1];
  some.sort((a, b) => a - b);
  const a = some[Math.floor(low * (some.length - 1))], b = some[Math.ceil(high * (some.length - 1))];
  return b > a ? [a, b] : [some[0], some[some.length - 1] > some[0] ? some[some.length - 1] : some[0] + 1];
}
function picture(map, i, over) {
  const [height, width] = map.shape, canvas = document.createElement("canvas");
  canvas.width = width; canvas.height = height;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height), start = i * height * width;
  const [low, high] = map.labels ? [0, 1] : limits(map.values, start, height * width);
  for (let p = 0; p < height * width; p++) {
    const value = map.values[start + p];
    let rgb = [225, 225, 228];
    if (map.labels) { if (value >= 0 && shows(map, value)) rgb = colour(value); }
    else if (Number.isFinite(value)) rgb = ramp((value - low) / (high - low));
    if (over && !map.labels) {
      const group = groupAt({ map, y: Math.floor(p / width), x: p % width });
      if (group >= 0 && visible.has(group)) { const c = colour(group); rgb = rgb.map((v, k) => 0.55 * v + 0.45 * c[k]); }
    }
    image.data.set([...rgb, 255], 4 * p);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
const shows = (map, value) => map !== grouping || visible.has(value);

// How large a map is drawn, its pixels in the ratio of their sides.
let drawn = { sy: 1, sx: 1 }, kept = {};
function drawMap() {
  const { map, i } = shown[current], canvas = at("map-canvas"), context = canvas.getContext("2d");
  const [height, width] = map.shape, [ay, ax] = map.axes;
  const ratio = ay.units === ax.units && ax.scale && ay.scale ? Math.abs(ay.scale / ax.scale) : 1;
  const fit = Math.min(640 / width, 640 / (height * ratio));
  drawn = { sx: fit, sy: fit * ratio };
  canvas.width = Math.max(Math.round(width * drawn.sx), 1); canvas.height = Math.max(Math.round(height * drawn.sy), 24);
  context.imageSmoothingEnabled = false;
  const key = [current, at("over").checked, at("colours").value, ...visible].join();
  if (kept.key !== key) kept = { key, canvas: picture(map, i, at("over").checked) };
  context.drawImage(kept.canvas, 0, 0, width * drawn.sx, height * drawn.sy);
  scaleBar(context, canvas, ax);
  for (const spot of [pinned, pointed]) if (spot) {
    const y = moved(spot.map.axes[0], ay, spot.y), x = moved(spot.map.axes[1], ax, spot.x);
    for (const [style, wide] of [["#000000", 4], [spot === pinned ? "#ff3030" : "#ffffff", 2]]) {
      context.strokeStyle = style; context.lineWidth = wide;
      context.strokeRect(x * drawn.sx, y * drawn.sy, Math.max(drawn.sx, 4), Math.max(drawn.sy, 4));
    }
  }
}
function scaleBar(context, canvas, axis) {
  if (!axis.units || axis.units === "px" || axis.points || !axis.scale) return;
  const whole = Math.abs(axis.scale) * axis.size, power = 10 ** Math.floor(Math.log10(whole / 4));
  const length = [5, 2, 1].map((m) => m * power).find((m) => m <= whole / 4) || power;
  const pixels = (length / Math.abs(axis.scale)) * drawn.sx, text = quantity(length, axis.units);
  context.font = "13px system-ui, sans-serif";
  const broad = Math.max(pixels, context.measureText(text).width) + 12;
  context.fillStyle = "rgba(0,0,0,0.6)"; context.fillRect(8, canvas.height - 38, broad, 30);
  context.fillStyle = "#fff"; context.fillRect(8 + (broad - pixels) / 2, canvas.height - 14, pixels, 3);
  context.textAlign = "center"; context.fillText(text, 8 + broad / 2, canvas.height - 20); context.textAlign = "left";
}

function spotOf(event) {
  const { map } = shown[current], box = at("map-canvas").getBoundingClientRect(), canvas = at("map-canvas");
  const x = Math.floor(((event.clientX - box.left) * canvas.width) / box.width / drawn.sx);
  const y = Math.floor(((event.clientY - box.top) * canvas.height) / box.height / drawn.sy);
  return x >= 0 && y >= 0 && y < map.shape[0] && x < map.shape[1] ? { map, y, x } : null;
}
function readOut() {
  const spot = pointed || pinned, box = at("readout");
  if (!spot) { box.textContent = "Point at the map to read values; click to keep a position."; at("values").textContent = ""; return; }
  const [ay, ax] = spot.map.axes, group = groupAt(spot);
  box.innerHTML = "";
  const head = document.createElement("b");
  head.textContent = `y ${quantity(place(ay, spot.y), ay.units)}, x ${quantity(place(ax, spot.x), ax.units)}`;
  box.append(head, ` (line ${spot.y}, position ${spot.x})`);
  if (grouping) {
    const mark = document.createElement("span"); mark.className = "swatch"; mark.style.background = group < 0 ? "#e1e1e4" : css(group);
    box.append(" ", mark, group < 0 ? "no group" : `${groupName()} ${group + 1}`);
  }
  const table = document.createElement("table");
  for (const { map, i, name } of shown.slice(0, 60)) {
    const value = valueAt(map, i, spot), row = table.insertRow();
    row.insertCell().textContent = name;
    row.insertCell().textContent = map.labels ? (value < 0 || Number.isNaN(value) ? "–" : String(value + 1)) : quantity(value, map.units);
  }
  at("values").replaceChildren(table);
}
const groupName = () => (grouping && grouping.of) || data.group || "group";

// The lines, or pictures, that are of what is under the pointer.
function lines() {
  const field = data.signals[signal], size = field.shape.reduce((a, b) => a * b, 1), axes = field.axes;
  const cut = (i) => field.values.subarray(i * size, (i + 1) * size), group = groupAt(pointed || pinned), all = [];
  if (field.n === 1) all.push({ name: field.title, values: cut(0), axes, colour: "#1d1d1f", wide: 1.5 });
  else for (let i = 0; i < field.n; i++)
    if (field.n !== groupCount() || visible.has(i))
      all.push({ name: `${field.of} ${i + 1}`, values: cut(i), axes, colour: css(i), wide: i === group ? 3 : 1, here: i === group });
  const there = measuredHere(field);
  if (!there) return all;
  // Spectra of sum 1, and whatever else is in other units than what was measured, are as high as what they are laid over.
  const sum = (values) => values.reduce((a, b) => a + b, 0), beside = all.find((line) => line.here), whole = sum(there);
  const scaled = beside && whole > 0 && Math.abs(sum(beside.values) - 1) < 1e-3;
  const values = scaled ? there.map((v) => v / whole) : there;
  all.push({ name: scaled ? "measured here, of sum 1" : "measured here", values, axes: data.measured.inside, colour: "#000000", wide: 1, dots: true, here: true });
  return all;
}
function measuredHere(field) {
  const spot = pointed || pinned, measured = data.measured;
  const same = (axis, i) => field.axes[i] && axis.name === field.axes[i].name && axis.units === field.axes[i].units;
  if (!measured || !spot || measured.inside.length !== field.shape.length || !measured.inside.every(same)) return null;
  const y = Math.floor(((spot.y + 0.5) * measured.shape[0]) / spot.map.shape[0]);
  const x = Math.floor(((spot.x + 0.5) * measured.shape[1]) / spot.map.shape[1]);
  const size = measured.inside.reduce((a, b) => a * b.size, 1), start = (y * measured.shape[1] + x) * size;
  return Float32Array.from(measured.values.subarray(start, start + size), (v) => v * measured.step + measured.low);
}
let graph = null;
function drawSignal() {
  graph = null;
  if (!data.signals.length) return;
  const field = data.signals[signal];
  if (field.shape.length === 1) drawLines(field); else drawPatterns(field);
}
function drawLines(field) {
  const canvas = at("signal-canvas"), context = canvas.getContext("2d"), axis = field.axes[0], logarithmic = at("log").checked;
  canvas.width = 640; canvas.height = 400;
  context.fillStyle = "#fff"; context.fillRect(0, 0, 640, 400);
  const all = lines(), left = 70, right = 625, top = 12, bottom = 355;
  let low = Infinity, high = -Infinity, least = Infinity;
  for (const line of all) for (const v of line.values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); if (v > 0) least = Math.min(least, v); }
  if (!all.length || low > high) return;
  if (logarithmic) { low = Math.max(least, high * 1e-5); if (!(low < high)) low = high / 10; } else { low = Math.min(low, 0); if (low === high) high = low + 1; }
  const first = place(axis, 0), last = place(axis, axis.size - 1);
  const sx = (v) => left + ((v - first) / (last - first || 1)) * (right - left);
  const up = (v) => logarithmic ? Math.log(Math.max(v, low) / low) / Math.log(high / low) : (v - low) / (high - low);
  const sy = (v) => bottom - up(v) * (bottom - top);
  context.strokeStyle = "#d9d9de"; context.fillStyle = "#6b6b70"; context.lineWidth = 1; context.font = "12px system-ui, sans-serif";
  for (const tick of ticks(Math.min(first, last), Math.max(first, last), 7)) {
    context.beginPath(); context.moveTo(sx(tick), top); context.lineTo(sx(tick), bottom); context.stroke();
    context.textAlign = "center"; context.fillText(number(tick), sx(tick), bottom + 16);
  }
  const levels = logarithmic ? decades(low, high) : ticks(low, high, 6);
  for (const tick of levels) {
    context.beginPath(); context.moveTo(left, sy(tick)); context.lineTo(right, sy(tick)); context.stroke();
    context.textAlign = "right"; context.fillText(number(tick), left - 6, sy(tick) + 4);
  }
  context.textAlign = "center";
  context.fillText(axis.name + (axis.units && axis.units !== "px" ? ` (${spelled(axis.units)})` : ""), (left + right) / 2, 390);
  for (const line of [...all].sort((a, b) => (a.here || 0) - (b.here || 0))) {
    context.strokeStyle = context.fillStyle = line.colour; context.lineWidth = line.wide; context.beginPath();
    for (let i = 0; i < line.values.length; i++) {
      const x = sx(place(line.axes[0], i)), y = sy(line.values[i]);
      if (x < left - 0.5 || x > right + 0.5) continue;
      if (line.dots) context.fillRect(x - 1, y - 1, 2, 2); else if (i) context.lineTo(x, y); else context.moveTo(x, y);
    }
    if (!line.dots) context.stroke();
  }
  graph = { kind: "lines", all, axis, sx, left, right };
}
const nearest = (axis, value) => axis.points
  ? axis.points.reduce((best, v, i) => (Math.abs(v - value) < Math.abs(axis.points[best] - value) ? i : best), 0)
  : Math.min(Math.max(Math.round((value - axis.offset) / axis.scale), 0), axis.size - 1);
function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= rough);
  const all = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) all.push(+(k * step).toPrecision(12));
  return all;
}
function decades(low, high) {
  const all = [];
  for (let k = Math.ceil(Math.log10(low)); k <= Math.log10(high); k++) all.push(10 ** k);
  return all;
}
function drawPatterns(field) {
  const canvas = at("signal-canvas"), context = canvas.getContext("2d"), [height, width] = field.shape;
  const all = lines(), chosen = [];
  const own = all.find((line) => line.here && !line.dots) || all[0], there = all.find((line) => line.dots);
  if (own) chosen.push(own);
  if (there) chosen.push(there);
  const fit = Math.min((630 / Math.max(chosen.length, 1) - 10) / width, 380 / height);
  canvas.width = 640; canvas.height = Math.max(Math.round(height * fit) + 24, 60);
  context.fillStyle = "#fff"; context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false; context.font = "13px system-ui, sans-serif";
  graph = { kind: "patterns", places: [], field, fit };
  chosen.forEach((line, k) => {
    const left = k * (width * fit + 10), shape = line.axes.map((axis) => axis.size), values = at("log").checked ? line.values.map((v) => Math.log1p(Math.max(v, 0))) : line.values;
    const map = { shape, values, labels: false };
    context.drawImage(picture(map, 0, false), left, 20, width * fit, height * fit);
    context.fillStyle = line.dots ? "#1d1d1f" : line.colour; context.fillText(line.name, left, 14);
    graph.places.push({ left, line });
  });
}
function readSignal(event) {
  const canvas = at("signal-canvas"), box = canvas.getBoundingClientRect(), out = at("signal-readout");
  const x = ((event.clientX - box.left) * canvas.width) / box.width, y = ((event.clientY - box.top) * canvas.height) / box.height;
  out.textContent = "";
  if (!graph) return;
  const field = data.signals[signal], head = document.createElement("b");
  if (graph.kind === "lines") {
    const { axis, left, right, all } = graph;
    const i = Math.round(((x - left) / (right - left)) * (axis.size - 1));
    if (i < 0 || i >= axis.size) return;
    head.textContent = `${axis.name} ${quantity(place(axis, i), axis.units)}: `;
    out.append(head, all.slice(0, 8).map((line) => `${line.name} ${quantity(line.values[nearest(line.axes[0], place(axis, i))], field.units)}`).join(", "));
    return;
  }
  const [height, width] = field.shape, found = [...graph.places].reverse().find(({ left }) => x >= left);
  if (!found) return;
  const [ay, ax] = found.line.axes;
  const column = Math.floor(((x - found.left) / graph.fit / width) * ax.size), row = Math.floor(((y - 20) / graph.fit / height) * ay.size);
  if (column < 0 || row < 0 || column >= ax.size || row >= ay.size) return;
  head.textContent = `${ay.name} ${quantity(place(ay, row), ay.units)}, ${ax.name} ${quantity(place(ax, column), ax.units)}: `;
  out.append(head, `${found.line.name} ${quantity(found.line.values[row * ax.size + column], field.units)}`);
}

function groupTable() {
  const table = at("groups"), count = groupCount();
  table.replaceChildren();
  if (!count) return;
  const found = data.tables.find((each) => each.rows === count) || { columns: {} }, heads = Object.keys(found.columns);
  const head = table.createTHead().insertRow();
  for (const text of ["", ...heads]) { const th = document.createElement("th"); th.textContent = text; head.append(th); }
  const every = document.createElement("input"); every.type = "checkbox"; every.id = "every"; every.checked = visible.size === count;
  every.onchange = () => { visible.clear(); if (every.checked) for (let i = 0; i < count; i++) visible.add(i); groupTable(); drawMap(); drawSignal(); };
  head.cells[0].append(every, ` all ${count}`);
  const body = table.createTBody(), here = groupAt(pointed || pinned);
  for (let i = 0; i < count; i++) {
    const row = body.insertRow(), cell = row.insertCell(), box = document.createElement("input"), mark = document.createElement("span");
    row.className = i === here ? "here" : ""; row.dataset.group = i;
    box.type = "checkbox"; box.checked = visible.has(i); box.id = `group-${i}`;
    box.onchange = () => { if (box.checked) visible.add(i); else visible.delete(i); drawMap(); drawSignal(); at("every").checked = visible.size === count; };
    mark.className = "swatch"; mark.style.background = css(i);
    const label = document.createElement("label"); label.append(box, mark, `${groupName()} ${i + 1}`); cell.append(label);
    for (const name of heads) row.insertCell().textContent = typeof found.columns[name][i] === "number" ? number(found.columns[name][i]) : String(found.columns[name][i]);
  }
}
function markGroup() {
  const here = groupAt(pointed || pinned);
  for (const row of at("groups").querySelectorAll("tbody tr")) row.className = +row.dataset.group === here ? "here" : "";
}
function look() { drawMap(); readOut(); drawSignal(); markGroup(); }

function save(name, blob) {
  const link = document.createElement("a"); link.href = URL.createObjectURL(blob); link.download = name; document.body.append(link);
  link.click(); link.remove(); setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
const named = (name, ending) => `${data.stem}-${name.replace(/[^\w.-]+/g, "_")}.${ending}`;
const cell = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
function mapText() {
  const { map, i, name } = shown[current], [height, width] = map.shape, [ay, ax] = map.axes, rows = [];
  const unit = (axis) => (axis.units ? ` (${axis.units})` : "");
  rows.push([`${ay.name || "y"}${unit(ay)} \\ ${ax.name || "x"}${unit(ax)}; ${name}${map.units ? ` (${map.units})` : ""}`, ...Array.from({ length: width }, (_, x) => place(ax, x))].map((v) => cell(String(v))).join(","));
  for (let y = 0; y < height; y++)
    rows.push([place(ay, y), ...Array.from(map.values.subarray((i * height + y) * width, (i * height + y + 1) * width), (v) => (map.labels ? (v < 0 ? "" : v + 1) : v))].join(","));
  return rows.join("\n") + "\n";
}
function signalText() {
  const field = data.signals[signal], all = lines(), unit = (u) => (u ? ` (${u})` : "");
  if (field.shape.length === 1) {
    const axis = field.axes[0], rows = [[`${axis.name}${unit(axis.units)}`, ...all.map((line) => line.name + unit(field.units))].map(cell).join(",")];
    for (let i = 0; i < axis.size; i++) rows.push([place(axis, i), ...all.map((line) => line.values[nearest(line.axes[0], place(axis, i))])].join(","));
    return rows.join("\n") + "\n";
  }
  const { line } = graph.places[0], [height, width] = line.axes.map((axis) => axis.size), rows = [];
  for (let y = 0; y < height; y++) rows.push(Array.from(line.values.subarray(y * width, (y + 1) * width)).join(","));
  return rows.join("\n") + "\n";
}

function begin() {
  at("title").textContent = data.title; at("subtitle").textContent = data.subtitle;
  for (let i = 0; i < groupCount(); i++) visible.add(i);
  shown.forEach(({ name }, i) => at("map").add(new Option(name, i)));
  data.signals.forEach(({ title, n, of }, i) => at("signal").add(new Option(n > 1 ? `${title}, of each ${of}` : title, i)));
  at("over-label").hidden = !grouping;
  for (const [name, value] of data.facts) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name; dd.textContent = value; at("facts").append(dt, dd);
  }
  at("map").onchange = () => { current = +at("map").value; pointed = null; look(); };
  at("signal").onchange = () => { signal = +at("signal").value; drawSignal(); };
  at("colours").onchange = at("over").onchange = look;
  at("log").onchange = drawSignal;
  const canvas = at("map-canvas");
  canvas.onmousemove = (event) => { pointed = spotOf(event); look(); };
  canvas.onmouseleave = () => { pointed = null; look(); };
  canvas.onclick = (event) => { pinned = spotOf(event); look(); };
  canvas.onkeydown = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !shown.length) return;
    const { map } = shown[current], from = pinned && pinned.map === map ? pinned : { map, y: 0, x: 0 };
    const y = Math.min(Math.max(from.y + step[0], 0), map.shape[0] - 1), x = Math.min(Math.max(from.x + step[1], 0), map.shape[1] - 1);
    pinned = { map, y, x }; event.preventDefault(); look();
  };
  at("signal-canvas").onmousemove = readSignal;
  at("map-png").onclick = () => at("map-canvas").toBlob((blob) => save(named(shown[current].name, "png"), blob));
  at("map-csv").onclick = () => save(named(shown[current].name, "csv"), new Blob([mapText()], { type: "text/csv" }));
  at("signal-png").onclick = () => at("signal-canvas").toBlob((blob) => save(named(data.signals[signal].title, "png"), blob));
  at("signal-csv").onclick = () => save(named(data.signals[signal].title, "csv"), new Blob([signalText()], { type: "text/csv" }));
  for (const [list, sections] of [[shown, 0], [data.signals, 1]]) document.querySelectorAll("section")[sections].hidden = !list.length;
  groupTable();
  if (shown.length) look(); else drawSignal();
  document.body.dataset.ready = "yes";
}
begin();
