// What timeline.js draws: the data of a run, as analysis/page/live_timeline.R writes it, and the words for it.
"use strict";
const timelineData = (function () {
  const UNITS = [["s", 1e9], ["ms", 1e6], ["us", 1e3], ["ns", 1]];

  const unitOf = (ns) => UNITS.find((unit) => Math.abs(ns) >= unit[1]) || UNITS[UNITS.length - 1];

  // Three significant digits, as in the rest of the page.
  function duration(ns) {
    const [name, size] = unitOf(Number(ns.toPrecision(3)));
    const value = ns / size;
    const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return value.toFixed(size === 1 ? 0 : digits) + " " + name;
  }

  // A moment needs more digits than a duration: those that the shown time tells apart.
  function moment(ns, shown) {
    const [name, size] = unitOf(ns);
    const digits = Math.ceil(Math.log10(Math.max(1, (size * 1000) / shown)));
    return (ns / size).toFixed(Math.min(size === 1 ? 0 : Math.log10(size), digits)) + " " + name;
  }

  const counted = (n, one) => n.toLocaleString("en") + " " + one + (n === 1 ? "" : "s");

  const isBright = (colour) => {
    const part = (at) => parseInt(colour.slice(at, at + 2), 16);
    return 0.299 * part(1) + 0.587 * part(3) + 0.114 * part(5) > 140;
  };

  // Starts come as the time since the start before, because these numbers are shorter. The spans of a row follow one another,
  // so their ends are in order too.
  function decodeRow(row) {
    const n = row.start.length;
    const start = new Float64Array(n);
    const end = new Float64Array(n);
    let at = 0;
    for (let i = 0; i < n; i++) {
      at += row.start[i];
      start[i] = at;
      end[i] = at + row.length[i];
    }
    return { y: row.y, lane: row.lane, thread: row.thread, start, end, label: row.label, open: new Set(row.open), hit: null };
  }

  function decode(json) {
    const data = JSON.parse(json);
    data.rows = data.rows.map(decodeRow);
    data.names = data.labels.text.map((text, i) => text || data.kinds[data.labels.kind[i]].name);
    data.ofLane = data.lanes.map((_, lane) => data.processes.filter((process) => process.lane === lane));
    return data;
  }

  // The first of these times, which rise, that is later than t.
  function firstAfter(times, t) {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] > t) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  // Processes that share a lane follow one another.
  function processOf(data, row, i) {
    const there = data.ofLane[row.lane];
    let last = there[0];
    for (const process of there) if (process.start <= row.start[i]) last = process;
    return last;
  }

  return { unitOf, duration, moment, counted, isBright, decode, firstAfter, processOf };
})();
