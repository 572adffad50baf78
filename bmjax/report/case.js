// The review of one case: labels change in the page, and the count with them.
(() => {
"use strict";
const CASE = JSON.parse(document.getElementById("case").textContent);
const KEY = "bmjax-case-" + CASE.digest;
const NOT_COUNTABLE = -1;
const $ = (id) => document.getElementById(id);

// Statistics. The same formulas as bmjax/evals/intervals.py and bmjax/count.

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012,
  9.9843695780195716e-6, 1.5056327351493116e-7,
];

function logGamma(x) {
  let sum = LANCZOS[0];
  for (let i = 1; i < 9; i++) sum += LANCZOS[i] / (x - 1 + i);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

function betaFraction(a, b, x) {
  const tiny = 1e-300;
  const off = (value) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1, d = 1 / off(1 - (a + b) * x / (a + 1)), h = d;
  for (let m = 1; m <= 2000; m++) {
    let step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / off(1 + step * d);
    c = off(1 + step / c);
    h *= d * c;
    step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / off(1 + step * d);
    c = off(1 + step / c);
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return h;
}

// Regularized incomplete beta function.
function beta(a, b, x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b)
    + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2)
    ? front * betaFraction(a, b, x) / a
    : 1 - front * betaFraction(b, a, 1 - x) / b;
}

function betaQuantile(p, a, b) {
  let low = 0, high = 1;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (beta(a, b, middle) < p) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

// Clopper and Pearson (1934): [low, high] of a share.
function interval(count, total) {
  const tail = (1 - CASE.level) / 2;
  return [
    count === 0 ? 0 : betaQuantile(tail, count, total - count + 1),
    count === total ? 1 : betaQuantile(1 - tail, count + 1, total - count),
  ];
}

// One decimal, rounded as Python rounds: of two as near, the even one.
function tenths(value) {
  if (value === Infinity) return "∞";
  const quarters = value * 4;
  if (Number.isInteger(quarters) && quarters % 2) {
    const below = Math.floor(value * 10);
    return ((below % 2 ? below + 1 : below) / 10).toFixed(1);
  }
  return value.toFixed(1);
}

const ends = (pair) => tenths(pair[0]) + "–" + tenths(pair[1]);
const percents = (pair) => ends(pair.map((end) => 100 * end));

// The state: what was done, in order. Labels follow from it.

const labels = Int16Array.from(CASE.labels);
const touched = new Map(); // cell -> the last action on it
let actions = [];
let who = "";

function replay() {
  labels.set(CASE.labels);
  touched.clear();
  for (const action of actions) {
    labels[action.cell] = action.label;
    touched.set(action.cell, action);
  }
}

function keep() {
  try {
    localStorage.setItem(KEY, JSON.stringify({ who, actions }));
  } catch (error) {
    $("kept").textContent = "This browser does not keep changes: save them before you leave.";
  }
}

function recall() {
  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(KEY));
  } catch (error) { /* what another program wrote there is no review of this case */ }
  const good = (action) => Number.isInteger(action?.cell)
    && action.cell >= 0 && action.cell < labels.length
    && Number.isInteger(action.label)
    && action.label >= NOT_COUNTABLE && action.label < CASE.classes.length;
  actions = Array.isArray(kept?.actions) ? kept.actions.filter(good) : [];
  who = typeof kept?.who === "string" ? kept.who : "";
  $("who").value = who;
  replay();
}

// The count.

function counted() {
  const counts = new Array(CASE.classes.length).fill(0);
  for (const label of labels) if (label >= 0) counts[label]++;
  return counts;
}

const sum = (counts, members) => members.reduce((all, i) => all + counts[i], 0);

function fill(id, text) {
  const place = $(id);
  if (place && place.textContent !== text) place.textContent = text;
}

function share(id, count, total) {
  fill(id + "-n", String(count));
  fill(id + "-p", total ? tenths(100 * count / total) : "–");
  fill(id + "-i", total ? percents(interval(count, total)) : "–");
}

function verdict(count, total, percent) {
  const [low, high] = total ? interval(count, total) : [0, 1];
  if (100 * low >= percent) return "at or above";
  return 100 * high < percent ? "below" : "undecided";
}

function showCount() {
  const counts = counted();
  const countable = CASE.classes.flatMap((one, i) => (one.countable ? [i] : []));
  const total = sum(counts, countable);
  CASE.classes.forEach((one, i) => {
    if (one.countable) share("class-" + i, counts[i], total);
    else fill("class-" + i + "-n", String(counts[i]));
  });
  let apart = 0;
  for (const label of labels) if (label === NOT_COUNTABLE) apart++;
  fill("marked-n", String(apart));
  CASE.lineages.forEach((one, i) => share("lineage-" + i, sum(counts, one.classes), total));
  const above = sum(counts, CASE.ratio.above), below = sum(counts, CASE.ratio.below);
  const pair = above + below ? interval(above, above + below) : [0, 1];
  fill("ratio", above + below ? tenths(above / below) : "–");
  fill("ratio-i", ends(pair.map((end) => (end === 1 ? Infinity : end / (1 - end)))));
  CASE.thresholds.forEach((one, i) => {
    const count = sum(counts, one.classes);
    fill("threshold-" + i + "-p", total ? tenths(100 * count / total) : "–");
    const place = $("threshold-" + i);
    const said = verdict(count, total, one.percent);
    place.className = "verdict " + said.replaceAll(" ", "-");
    fill("threshold-" + i, said);
  });
  let changed = 0;
  for (const [cell, action] of touched) if (action.label !== CASE.predicted[cell]) changed++;
  fill("countable", String(total));
  fill("reviewed", String(CASE.reviewed + touched.size));
  fill("changed", String(changed));
  document.body.classList.toggle("relabeled", changed > 0);
}

// The gallery.

const buttons = [...document.querySelectorAll("button.cell")];
const buttonOf = new Map(buttons.map((button) => [Number(button.dataset.cell), button]));
let current = null;

const nameOf = (label) => (label < 0 ? "not countable" : CASE.classes[label].name);

function showCell(cell) {
  const button = buttonOf.get(cell);
  if (!button) return;
  const label = labels[cell];
  button.querySelector("b").textContent = label < 0 ? "—" : nameOf(label);
  button.classList.toggle("seen", touched.has(cell));
  button.classList.toggle("changed", label !== CASE.predicted[cell]);
  button.setAttribute("aria-label", "cell " + (cell + 1) + ", " + nameOf(label)
    + (touched.has(cell) ? ", reviewed" : ""));
}

function show() {
  for (const cell of buttonOf.keys()) showCell(cell);
  showCount();
  showInspector();
}

function showInspector() {
  $("inspector").hidden = current === null;
  if (current === null) return;
  const button = buttonOf.get(current);
  $("picture").src = button.querySelector("img")?.src ?? "";
  fill("file", CASE.paths[current]);
  fill("is", nameOf(labels[current]));
  const shown = JSON.parse(button.dataset.likely);
  const box = $("likely");
  box.replaceChildren(...shown.map(([label, probability], i) => {
    const choice = document.createElement("button");
    choice.type = "button";
    choice.dataset.label = label;
    choice.className = label === labels[current] ? "chosen" : "";
    const key = document.createElement("kbd");
    key.textContent = i + 1;
    choice.append(key, " " + CASE.classes[label].name + " ");
    const small = document.createElement("small");
    small.textContent = probability;
    choice.append(small);
    return choice;
  }));
  $("all").value = String(labels[current]);
}

function select(cell, focus = true) {
  buttonOf.get(current)?.setAttribute("aria-pressed", "false");
  current = cell;
  const button = buttonOf.get(cell);
  for (const one of buttons) one.tabIndex = one === button ? 0 : -1;
  button.setAttribute("aria-pressed", "true");
  if (focus) {
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "nearest" });
  }
  showInspector();
}

function label(value) {
  if (current === null) return;
  actions.push({ cell: current, label: value, who, when: new Date().toISOString() });
  replay();
  keep();
  showCell(current);
  showCount();
  move(1);
}

function undo() {
  const last = actions.pop();
  if (!last) return;
  replay();
  keep();
  showCell(last.cell);
  showCount();
  if (buttonOf.has(last.cell)) select(last.cell);
}

function move(by) {
  const place = buttons.indexOf(buttonOf.get(current)) + by;
  if (place >= 0 && place < buttons.length) select(Number(buttons[place].dataset.cell));
  else showInspector();
}

// The cell above or below: the nearest in the next row.
function moveRow(direction) {
  const here = buttonOf.get(current).getBoundingClientRect();
  let place = buttons.indexOf(buttonOf.get(current));
  let best = null, top = null;
  for (place += direction; place >= 0 && place < buttons.length; place += direction) {
    const box = buttons[place].getBoundingClientRect();
    if (Math.abs(box.top - here.top) < 2) continue;
    if (top !== null && Math.abs(box.top - top) > 2) break;
    top = box.top;
    const far = Math.abs(box.left - here.left);
    if (best === null || far < best[0]) best = [far, place];
  }
  if (best) select(Number(buttons[best[1]].dataset.cell));
}

function nextUnseen() {
  const start = current === null ? -1 : buttons.indexOf(buttonOf.get(current));
  const found = buttons.findIndex((button, i) =>
    i > start && !touched.has(Number(button.dataset.cell)));
  if (found >= 0) select(Number(buttons[found].dataset.cell));
}

// Corrections as a table: what the last action on each cell says.

function quoted(text) {
  // Before a text that a spreadsheet would take for a formula, as in every table.
  const plain = /^[=+\-@\t\r]/.test(text) && text !== "-" ? "./" + text : text;
  return /[",\n\r]/.test(plain) ? '"' + plain.replaceAll('"', '""') + '"' : plain;
}

function table() {
  const rows = [...touched].sort((a, b) => a[0] - b[0]).map(([cell, action]) => [
    CASE.paths[cell],
    action.label < 0 ? "-" : CASE.classes[action.label].name,
    CASE.classes[CASE.predicted[cell]].name,
    action.who, action.when, CASE.digest,
  ].map(quoted).join(","));
  return ["path,label,was,who,when,case", ...rows].join("\n") + "\n";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "corrections.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Hands.

document.addEventListener("click", (event) => {
  const cell = event.target.closest("button.cell");
  if (cell) return select(Number(cell.dataset.cell));
  const choice = event.target.closest("#likely button");
  if (choice) return label(Number(choice.dataset.label));
});
$("confirm").addEventListener("click", () => label(labels[current]));
$("apart").addEventListener("click", () => label(NOT_COUNTABLE));
$("undo").addEventListener("click", undo);
$("save").addEventListener("click", save);
$("close").addEventListener("click", () => {
  const button = buttonOf.get(current);
  current = null;
  showInspector();
  button?.focus();
});
$("all").addEventListener("change", (event) => label(Number(event.target.value)));
$("who").addEventListener("input", (event) => {
  who = event.target.value;
  keep();
});

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select")) {
    if (event.key === "Escape" && current !== null) select(current);
    return;
  }
  if ((event.ctrlKey || event.metaKey) && event.key === "z") {
    event.preventDefault();
    return undo();
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inGallery = event.target.matches("button.cell");
  const does = {
    z: undo, n: nextUnseen, "?": () => { $("help").open = !$("help").open; },
  };
  if (current !== null) {
    Object.assign(does, {
      u: () => label(NOT_COUNTABLE), l: () => $("all").focus(),
      Escape: () => $("close").click(),
    });
    if (inGallery) Object.assign(does, {
      Enter: () => label(labels[current]), " ": () => label(labels[current]),
      ArrowRight: () => move(1), ArrowLeft: () => move(-1),
      ArrowDown: () => moveRow(1), ArrowUp: () => moveRow(-1),
    });
    const choice = $("likely").children[Number(event.key) - 1];
    if (choice) does[event.key] = () => label(Number(choice.dataset.label));
  }
  const act = does[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// Other pages of this case, open beside it, share what is kept.
addEventListener("storage", (event) => {
  if (event.key === KEY) { recall(); show(); }
});

document.body.classList.add("live");
recall();
buttons.forEach((button, i) => { button.tabIndex = i ? -1 : 0; });
show();
})();
