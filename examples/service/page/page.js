'use strict';

// Draws the service's history, which it asks for once a second.

const shown = 300; // seconds
const points = [];
let started = ''; // of the service that the points are from
let misses = 0;

const percent = (x) => x === null || x === undefined ? null : 100 * x;

const charts = [
  { id: 'loss-chart', lines: [['training', (p) => p.loss], ['held-out', (p) => p.validation_loss]], low: 0 },
  { id: 'accuracy-chart', lines: [['training', (p) => percent(p.accuracy)], ['held-out', (p) => percent(p.validation_accuracy)]], low: 0, high: 100 },
  { id: 'latency-chart', lines: [['median', (p) => p.p50], ['99th percentile', (p) => p.p99]], log: true },
  { id: 'rate-chart', lines: [['predictions', (p) => p.requests], ['examples learnt', (p) => p.examples]], low: 0 },
];

// ticks returns round numbers from low to high, about so many.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) * power;
  const list = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step / 1e6; v += step) {
    list.push(v);
  }
  return list;
}

function powers(low, high) {
  const list = [];
  for (let e = Math.floor(Math.log10(low)); 10 ** e <= high; e++) {
    for (const m of [1, 2, 5]) {
      const v = m * 10 ** e;
      if (v >= low && v <= high) list.push(v);
    }
  }
  return list;
}

const number = (v) => Number(v.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: 6 });

function draw(chart) {
  const canvas = document.getElementById(chart.id);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext('2d');
  g.scale(ratio, ratio);
  g.font = '12px ' + getComputedStyle(document.body).fontFamily;

  const left = 46, right = width - 10, top = 26, bottom = height - 22;
  const now = points.length ? points[points.length - 1].time : 0;
  const seen = points.filter((p) => p.time > now - shown);
  const span = Math.max(30, Math.min(shown, seen.length ? now - seen[0].time : 0));
  const values = chart.lines.flatMap(([, f]) => seen.map(f)).filter((v) => v !== null && v !== undefined && (!chart.log || v > 0));

  let low = chart.low ?? (values.length ? Math.min(...values) : 0.01);
  let high = chart.high ?? (values.length ? Math.max(...values) : 1);
  if (chart.log) {
    low /= 1.3;
    high *= 1.3;
  } else if (chart.high === undefined) {
    high = high > low ? low + (high - low) * 1.08 : low + 1;
  }
  const scale = chart.log ? Math.log : (v) => v;
  const x = (t) => right - (now - t) / span * (right - left);
  const y = (v) => bottom - (scale(v) - scale(low)) / (scale(high) - scale(low)) * (bottom - top);

  g.strokeStyle = colour('--line');
  g.fillStyle = colour('--faint');
  g.lineWidth = 1;
  g.textBaseline = 'middle';
  g.textAlign = 'right';
  for (const v of chart.log ? powers(low, high) : ticks(low, high, 5)) {
    const at = Math.round(y(v)) + 0.5;
    g.beginPath();
    g.moveTo(left, at);
    g.lineTo(right, at);
    g.stroke();
    g.fillText(number(v), left - 6, at);
  }
  g.textBaseline = 'top';
  for (const v of ticks(0, span, 5)) {
    g.textAlign = v === 0 ? 'right' : 'center';
    const at = x(now - v);
    if (v === 0 || at > left + 12) g.fillText(v === 0 ? 'now' : `−${v} s`, at, bottom + 6);
  }

  let legend = left;
  chart.lines.forEach(([name, f], i) => {
    g.strokeStyle = g.fillStyle = colour(i === 0 ? '--one' : '--two');
    g.lineWidth = 1.8;
    g.lineJoin = 'round';
    g.setLineDash(i === 0 ? [] : [6, 3]);
    g.beginPath();
    let last = null;
    for (const p of seen) {
      const v = f(p);
      if (v === null || v === undefined || chart.log && !(v > 0)) continue;
      // A gap of some seconds is no line.
      if (last !== null && p.time - last <= 5) g.lineTo(x(p.time), y(v));
      else g.moveTo(x(p.time), y(v));
      last = p.time;
    }
    g.stroke();
    g.beginPath();
    g.moveTo(legend, 10);
    g.lineTo(legend + 22, 10);
    g.stroke();
    g.setLineDash([]);
    g.fillStyle = colour('--text');
    g.textAlign = 'left';
    g.textBaseline = 'middle';
    g.fillText(name, legend + 28, 10);
    legend += 28 + g.measureText(name).width + 18;
  });
}

function set(id, text) { document.getElementById(id).textContent = text; }

function state(text, kind) {
  set('state', text);
  document.getElementById('state').className = kind;
}

function milliseconds(v) {
  if (v === null || v === undefined) return '–';
  return v < 1 ? `${Math.round(v * 1000)} µs` : `${number(v)} ms`;
}

async function get(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function update() {
  const since = points.length ? points[points.length - 1].n : 0;
  try {
    let [history, model] = await Promise.all([get(`v1/history?since=${since}`), get('v1/model')]);
    if (history.started !== started) {
      // Another process, whose numbers begin again: so must the page.
      points.length = 0;
      started = history.started;
      if (since > 0) history = await get('v1/history');
    }
    points.push(...history.points);
    points.splice(0, points.length - 2 * shown);
    misses = 0;
    const last = points[points.length - 1];
    set('version', model.version.toLocaleString('en'));
    set('accuracy', model.learning.validation_loss > 0 ? `${(100 * model.learning.validation_accuracy).toFixed(1)} %` : '–');
    set('queued', model.learning.queued.toLocaleString('en'));
    set('rollbacks', model.learning.rollbacks.toLocaleString('en'));
    if (last) {
      set('p50', milliseconds(last.p50));
      set('p99', milliseconds(last.p99));
      set('requests', last.requests.toLocaleString('en'));
      set('examples', last.examples.toLocaleString('en'));
    }
    set('model', `${model.parameters.toLocaleString('en')} parameters, ${model.level} kernels`);
    state(last && last.examples > 0 ? 'learning' : 'waiting for examples', 'good');
  } catch (error) {
    misses++;
    state(misses > 1 ? 'no answer from the service' : 'connecting…', misses > 1 ? 'bad' : '');
  }
  charts.forEach(draw);
  setTimeout(update, 1000);
}

window.addEventListener('resize', () => charts.forEach(draw));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.forEach(draw));
update();
