// The count of one case: made anew whenever its labels change (review.js).
(() => {
"use strict";
const CASE = JSON.parse(document.getElementById("review").textContent);
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

// The count.

function counted(labels) {
  const counts = new Array(CASE.names.length).fill(0);
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

function showCount(labels) {
  const counts = counted(labels);
  const total = sum(counts, CASE.countable);
  counts.forEach((count, i) => {
    if (CASE.countable.includes(i)) share("class-" + i, count, total);
    else fill("class-" + i + "-n", String(count));
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
  fill("countable", String(total));
}

addEventListener("labels", (event) => showCount(event.detail));
})();
