// Labels under review: changed by hand or key, kept in the browser, saved as a table.
//
// The page has its cells as buttons and the rest as JSON (report/review_pages.py). Whoever
// has more to show of the labels, such as a count, listens to the event "labels".
(() => {
"use strict";
const REVIEW = JSON.parse(document.getElementById("review").textContent);
const KEY = "bmjax-" + REVIEW.key;
const NO_CLASS = -1;
const $ = (id) => document.getElementById(id);

// The state: what was done, in order. Labels follow from it.

const labels = Int16Array.from(REVIEW.labels);
const touched = new Map(); // cell -> the last action on it
const seenBefore = new Set(REVIEW.seen); // by an earlier review
let actions = [];
let who = "";

function replay() {
  labels.set(REVIEW.labels);
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
  } catch (error) { /* what another program wrote there is no review of this page */ }
  const good = (action) => Number.isInteger(action?.cell)
    && action.cell >= 0 && action.cell < labels.length
    && Number.isInteger(action.label)
    && action.label >= NO_CLASS && action.label < REVIEW.names.length;
  actions = Array.isArray(kept?.actions) ? kept.actions.filter(good) : [];
  who = typeof kept?.who === "string" ? kept.who : "";
  $("who").value = who;
  replay();
}

function fill(id, text) {
  const place = $(id);
  if (place.textContent !== text) place.textContent = text;
}

const isSeen = (cell) => touched.has(cell) || seenBefore.has(cell);

function showTally() {
  const seen = new Set([...seenBefore, ...touched.keys()]);
  let changed = 0;
  for (const cell of seen) if (labels[cell] !== REVIEW.before[cell]) changed++;
  fill("reviewed", String(seen.size));
  fill("changed", String(changed));
  document.body.classList.toggle("relabeled", changed > 0);
  dispatchEvent(new CustomEvent("labels", { detail: labels }));
}

// The gallery.

const buttons = [...document.querySelectorAll("button.cell")];
const buttonOf = new Map(buttons.map((button) => [Number(button.dataset.cell), button]));
let current = null;

const nameOf = (label) => (label < 0 ? REVIEW.none : REVIEW.names[label]);

function showCell(cell) {
  const button = buttonOf.get(cell);
  if (!button) return;
  const label = labels[cell];
  button.querySelector("b").textContent = label < 0 ? "—" : nameOf(label);
  button.classList.toggle("seen", isSeen(cell));
  button.classList.toggle("changed", label !== REVIEW.before[cell]);
  const about = button.dataset.about ? button.dataset.about + ", now " : "";
  button.setAttribute("aria-label", "cell " + (cell + 1) + ", " + about + nameOf(label)
    + (isSeen(cell) ? ", reviewed" : ""));
}

function show() {
  for (const cell of buttonOf.keys()) showCell(cell);
  showTally();
  showInspector();
}

function showInspector() {
  $("inspector").hidden = current === null;
  if (current === null) return;
  const button = buttonOf.get(current);
  $("picture").src = button.querySelector("img")?.src ?? "";
  fill("file", REVIEW.paths[current]);
  fill("about", button.dataset.about ?? "");
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
    choice.append(key, " " + REVIEW.names[label] + " ");
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
  showTally();
  move(1);
}

function undo() {
  const last = actions.pop();
  if (!last) return;
  replay();
  keep();
  showCell(last.cell);
  showTally();
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
    i > start && !isSeen(Number(button.dataset.cell)));
  if (found >= 0) select(Number(buttons[found].dataset.cell));
}

// Corrections as a table: what the last action on each cell says.

function quoted(text) {
  // Before a text that a spreadsheet would take for a formula, as in every table.
  const plain = /^[=+\-@\t\r]/.test(text) && text !== "-" ? "./" + text : text;
  return /[",\n\r]/.test(plain) ? '"' + plain.replaceAll('"', '""') + '"' : plain;
}

function table() {
  const seen = [...touched].sort((a, b) => a[0] - b[0]);
  const paths = new Set(seen.map(([cell]) => REVIEW.paths[cell]));
  const rows = [
    ["path", "label", "was", "who", "when", ...Object.keys(REVIEW.more)],
    ...REVIEW.earlier.filter(([path]) => !paths.has(path)),
    ...seen.map(([cell, action]) => [
      REVIEW.paths[cell],
      action.label < 0 ? "-" : REVIEW.names[action.label],
      REVIEW.names[REVIEW.before[cell]],
      action.who, action.when, ...Object.values(REVIEW.more),
    ]),
  ];
  return rows.map((row) => row.map(quoted).join(",") + "\n").join("");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = REVIEW.file;
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
$("apart").addEventListener("click", () => label(NO_CLASS));
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
      u: () => label(NO_CLASS), l: () => $("all").focus(),
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

// Other pages of this review, open beside it, share what is kept.
addEventListener("storage", (event) => {
  if (event.key === KEY) { recall(); show(); }
});

document.body.classList.add("live");
recall();
buttons.forEach((button, i) => { button.tabIndex = i ? -1 : 0; });
show();
})();
