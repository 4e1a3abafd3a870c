// The interactive timeline of a traced run. It draws what analysis/page/live_timeline.R puts beside it as JSON on a canvas,
// and leaves zooming and panning to d3-zoom. A figure shows it only once all of this has worked (its class "scripted"); until
// then, without scripts and in print, the figure shows its static picture. The data is decoded by timeline_data.js.
"use strict";
(function () {
  const AXIS = 24;             // px above the lanes
  const ROW_HEIGHT = [5, 18];  // px: the least and the most
  const LANES_HEIGHT = 480;    // px: what the rows share, where that is enough for them
  const NARROW = 560;          // px: the width of a phone
  const SHORTEST = 100;        // ns: the shortest time that fills the canvas
  const ARROW_GAP = 6;         // px between two arrows of the same sender and receiver
  const FONT = "system-ui, sans-serif";
  const { unitOf, duration, moment, counted, isBright, decode, firstAfter, processOf } = timelineData;

  // ---- one timeline ----

  class Timeline {
    constructor(root) {
      this.root = root;
      this.part = (name) => root.querySelector("." + name);
      this.canvas = this.part("canvas");
      this.context = this.canvas.getContext("2d");
      this.sources = Array.from(root.querySelectorAll("script[type='application/json']"));
      this.dark = window.matchMedia("(prefers-color-scheme: dark)");
      this.hits = [];
      this.current = null;
      this.zoom = d3.zoom().filter((event) => this.isForUs(event)).on("zoom", (event) => {
        this.x = event.transform.rescaleX(this.base);  // at once: the next key may come before the next frame
        this.window = this.x.domain();
        this.part("tip").hidden = true;
        this.queue();
      });
      this.listen();
      this.load(0);
      d3.select(this.canvas).call(this.zoom);
      new ResizeObserver(() => this.resize()).observe(root);
    }

    load(number) {
      this.data = decode(this.sources[number].textContent);
      this.window = [0, this.data.length];
      this.width = 0;
      this.root.closest("figure").querySelector(".left-out").textContent = this.data.left_out;
      this.legend();
      this.resize();
      this.search();
    }

    listen() {
      const on = (name, type, act) => this.part(name).addEventListener(type, act);
      on("which-run", "change", (event) => this.load(Number(event.target.value)));
      on("closer", "click", () => this.scaleBy(2));
      on("wider", "click", () => this.scaleBy(0.5));
      on("whole", "click", () => this.show(0, this.data.length));
      on("path", "change", () => this.queue());
      on("messages", "change", () => this.queue());
      on("search", "input", () => this.search());
      on("search", "keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        this.go(event.shiftKey ? -1 : 1);
      });
      on("previous-hit", "click", () => this.go(-1));
      on("next-hit", "click", () => this.go(1));
      on("canvas", "keydown", (event) => this.key(event));
      on("canvas", "pointerdown", (event) => {
        this.canvas.focus({ preventScroll: true });
        this.point(event);
      });
      on("canvas", "pointermove", (event) => this.point(event));
      on("canvas", "pointerleave", () => { this.part("tip").hidden = true; });
      this.dark.addEventListener("change", () => { this.legend(); this.queue(); });
    }

    // The wheel scrolls the page as everywhere, until the reader has chosen the timeline.
    isForUs(event) {
      if (event.type === "wheel") return event.ctrlKey || event.metaKey || document.activeElement === this.canvas;
      return !event.button && !event.ctrlKey;
    }

    colour(kind) {
      const found = this.data.kinds[kind];
      return this.dark.matches ? found.dark : found.light;
    }

    legend() {
      const list = this.part("legend");
      list.textContent = "";
      this.data.kinds.forEach((kind, i) => {
        const item = document.createElement("li");
        const swatch = document.createElement("span");
        swatch.style.background = this.colour(i);
        item.append(swatch, kind.name);
        list.append(item);
      });
    }

    // ---- what is shown ----

    resize() {
      const width = Math.floor(this.root.clientWidth);
      if (width === 0 || width === this.width) return;
      this.width = width;
      this.left = width < NARROW ? 84 : 150;
      this.right = width - 2;
      const [least, most] = ROW_HEIGHT;
      this.row = Math.max(least, Math.min(most, Math.floor(LANES_HEIGHT / this.data.height)));
      this.height = Math.ceil(AXIS + (this.data.height + 0.6) * this.row);
      const density = window.devicePixelRatio || 1;
      this.canvas.width = width * density;
      this.canvas.height = this.height * density;
      this.canvas.style.height = this.height + "px";
      this.context.setTransform(density, 0, 0, density, 0, 0);
      this.base = d3.scaleLinear([0, this.data.length], [this.left, this.right]);
      const area = [[this.left, 0], [this.right, this.height]];
      this.zoom.scaleExtent([1, Math.max(1, this.data.length / SHORTEST)]).extent(area).translateExtent(area);
      this.show(...this.window);
    }

    y(row) { return AXIS + (row + 0.3) * this.row; }

    // Shows these nanoseconds, or the nearest that there are.
    show(from, to) {
      const length = this.data.length;
      const shown = Math.min(length, Math.max(to - from, Math.min(SHORTEST, length)));
      const start = Math.max(0, Math.min(length - shown, (from + to - shown) / 2));
      const k = length / shown;
      const transform = d3.zoomIdentity.translate(this.left - k * this.base(start), 0).scale(k);
      this.zoom.transform(d3.select(this.canvas), transform);
    }

    scaleBy(factor) {
      const [from, to] = this.window;
      const half = (to - from) / factor / 2;
      this.show((from + to) / 2 - half, (from + to) / 2 + half);
    }

    move(share) {
      const [from, to] = this.window;
      const length = to - from;
      const start = Math.max(0, Math.min(this.data.length - length, from + share * length));
      this.show(start, start + length);
    }

    key(event) {
      const acts = { ArrowLeft: () => this.move(-0.2), ArrowRight: () => this.move(0.2), "+": () => this.scaleBy(2),
                     "=": () => this.scaleBy(2), "-": () => this.scaleBy(0.5), 0: () => this.show(0, this.data.length) };
      if (event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
      event.preventDefault();
      acts[event.key]();
      this.update();
      this.say(this.part("range").textContent);
    }

    say(text) { this.part("status").textContent = text; }

    // ---- search ----

    search() {
      const text = this.part("search").value.trim().toLowerCase();
      const data = this.data;
      this.hits = [];
      this.current = null;
      this.searching = text !== "";
      const has = (name) => name.toLowerCase().includes(text);
      const named = data.names.map((name, i) => has(name) || has(data.kinds[data.labels.kind[i]].name));
      const inside = new Set(this.searching ? data.processes.filter((process) => has(process.label)) : []);
      for (const row of data.rows) {
        row.hit = new Uint8Array(this.searching ? row.start.length : 0);
        for (let i = 0; i < row.hit.length; i++) {
          if (!named[row.label[i]] && !(inside.size > 0 && inside.has(processOf(data, row, i)))) continue;
          row.hit[i] = 1;
          this.hits.push({ row, i });
        }
      }
      this.hits.sort((a, b) => a.row.start[a.i] - b.row.start[b.i] || a.row.y - b.row.y);
      this.say(!this.searching ? "" : this.hits.length === 0 ? "Nothing of that name is shown." :
        counted(this.hits.length, "span") + " found. Enter goes to the next.");
      this.part("previous-hit").disabled = this.part("next-hit").disabled = this.hits.length === 0;
      this.part("tip").hidden = true;
      this.queue();
    }

    // To the next span that was found, or to the one before; zooms in where it would be too narrow to be seen.
    go(step) {
      const n = this.hits.length;
      if (n === 0) return;
      this.place = this.current === null ? (step > 0 ? 0 : n - 1) : (this.place + step + n) % n;
      this.current = this.hits[this.place];
      const { row, i } = this.current;
      const length = Math.max(1, row.end[i] - row.start[i]);
      let shown = this.window[1] - this.window[0];
      if (length < shown / 50 || length > shown) shown = 10 * length;
      const middle = (row.start[i] + row.end[i]) / 2;
      this.show(middle - shown / 2, middle + shown / 2);
      this.update();
      this.tip(this.current, this.x(middle), this.y(row.y + 1));
      this.say(`${this.place + 1} of ${n.toLocaleString("en")}: ${this.describe(this.current).join(", ")}`);
    }

    // ---- hover ----

    // The span at a point; where several share the pixel, the longest of them, and how many more there are.
    at(x, y) {
      const row = this.data.rows.find((one) => y >= this.y(one.y) && y < this.y(one.y + 1));
      if (!row || x < this.left || x > this.right) return null;
      let best = -1;
      let others = -1;
      for (let i = firstAfter(row.end, this.x.invert(x - 1)); i < row.start.length && this.x(row.start[i]) <= x + 1; i++) {
        others++;
        if (best < 0 || row.end[i] - row.start[i] > row.end[best] - row.start[best]) best = i;
      }
      return best < 0 ? null : { row, i: best, others };
    }

    describe({ row, i, others }) {
      const data = this.data;
      const label = row.label[i];
      const kind = data.kinds[data.labels.kind[label]].name;
      const name = data.names[label];
      const shown = this.window[1] - this.window[0];
      return [name.startsWith(kind) ? name : `${name} (${kind})`,
              processOf(data, row, i).label + (row.thread > 0 ? `, thread ${row.thread + 1}` : ""),
              "starts at " + moment(row.start[i], shown),
              row.open.has(i) ? "never ended: its process did" : "took " + duration(row.end[i] - row.start[i])]
        .concat(others > 0 ? counted(others, "more span") + " here: zoom in" : []);
    }

    point(event) {
      const box = this.canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const found = this.at(x, y);
      if (found) this.tip(found, x, y);
      else this.part("tip").hidden = true;
    }

    tip(found, x, y) {
      const tip = this.part("tip");
      tip.textContent = "";
      this.describe(found).forEach((line, i) => {
        const element = document.createElement(i === 0 ? "b" : "span");
        element.textContent = line;
        tip.append(element);
      });
      tip.hidden = false;
      tip.style.left = Math.max(0, Math.min(x + 12, this.width - tip.offsetWidth)) + "px";
      tip.style.top = y + 16 + "px";
    }

    // ---- drawing ----

    queue() {
      if (this.frame) return;
      this.frame = requestAnimationFrame(() => this.update());
    }

    update() {
      if (this.frame) cancelAnimationFrame(this.frame);
      this.frame = 0;
      if (!this.width) return;
      const [from, to] = this.window;
      const shown = to - from;
      this.part("range").textContent = `${moment(from, shown)} to ${moment(to, shown)} (${duration(shown)})`;
      Object.assign(this.canvas.dataset, { from: Math.round(from), to: Math.round(to) });
      this.draw();
    }

    draw() {
      const c = this.context;
      const style = getComputedStyle(this.root);
      this.ink = {};
      for (const name of ["ink", "faint", "rule", "paper", "lane"]) this.ink[name] = style.getPropertyValue("--" + name).trim();
      this.bars = 0;
      c.clearRect(0, 0, this.width, this.height);
      this.drawAxis();
      c.save();
      c.beginPath();
      c.rect(this.left, AXIS - 2, this.right - this.left, this.height);
      c.clip();
      this.drawLanes();
      this.drawCpu();
      this.data.rows.forEach((row) => this.drawRow(row));
      if (this.part("messages").checked) this.drawMessages();
      if (this.part("path").checked) this.drawPath();
      this.drawEnds();
      c.restore();
      this.drawLabels();
      this.canvas.dataset.bars = this.bars;
    }

    drawAxis() {
      const c = this.context;
      const [from, to] = this.window;
      const [name, size] = unitOf(to);
      const scale = d3.scaleLinear([from / size, to / size], [this.left, this.right]);
      const wanted = Math.max(2, Math.floor((this.right - this.left) / 110));
      const text = scale.tickFormat(wanted);
      c.font = "11px " + FONT;
      c.textBaseline = "middle";
      for (const tick of scale.ticks(wanted)) {
        const x = Math.round(scale(tick)) + 0.5;
        c.fillStyle = this.ink.rule;
        c.fillRect(x - 0.5, AXIS - 6, 1, this.height);
        c.fillStyle = this.ink.faint;
        const label = text(tick) + " " + name;
        const half = c.measureText(label).width / 2;
        c.textAlign = "center";
        c.fillText(label, Math.max(this.left + half, Math.min(this.right - half, x)), AXIS / 2 - 2);
      }
    }

    drawLanes() {
      this.context.fillStyle = this.ink.lane;
      for (const process of this.data.processes) {
        this.rectangle(this.x(process.start), this.x(process.end), this.y(process.top), this.y(process.bottom));
      }
    }

    rectangle(from, to, top, bottom) {
      // far outside of the canvas, coordinates lose their precision
      const left = Math.max(this.left - 2, from);
      const right = Math.min(this.right + 2, to);
      if (right < left) return;
      this.bars++;
      this.context.fillRect(left, top, Math.max(0.75, right - left), bottom - top);
    }

    drawRow(row) {
      const [from, to] = this.window;
      const pixel = (to - from) / (this.right - this.left);
      for (let i = firstAfter(row.end, from); i < row.start.length && row.start[i] < to;) {
        if (row.end[i] - row.start[i] >= pixel) this.drawSpan(row, i++);
        else i = this.drawColumn(row, i, pixel);
      }
    }

    drawSpan(row, i) {
      const c = this.context;
      const [from, to] = [this.x(row.start[i]), this.x(row.end[i])];
      const [top, bottom] = [this.y(row.y + 0.05), this.y(row.y + 0.95)];
      const open = row.open.has(i);
      c.globalAlpha = this.searching && !row.hit[i] ? 0.15 : open ? 0.4 : 1;
      c.fillStyle = this.colour(this.data.labels.kind[row.label[i]]);
      this.rectangle(from, to - (to - from > 4 ? 0.75 : 0), top, bottom);
      if (!open || !this.searching) this.drawName(this.data.names[row.label[i]], from, to, row.y, isBright(c.fillStyle) || open);
      c.globalAlpha = 1;
      if (this.current && this.current.row === row && this.current.i === i) this.outline(from, to, top, bottom);
    }

    outline(from, to, top, bottom) {
      const c = this.context;
      const left = Math.max(this.left - 4, from);
      c.strokeStyle = this.ink.ink;
      c.lineWidth = 2;
      c.strokeRect(left, top, Math.max(2, Math.min(this.right + 4, to) - left), bottom - top);
    }

    drawName(name, from, to, y, dark) {
      const left = Math.max(from, this.left);
      const room = Math.floor((Math.min(to, this.right) - left - 6) / 6.2);
      if (this.row < 11 || room < 3) return;
      const c = this.context;
      c.font = "11px " + FONT;
      c.textAlign = "left";
      c.textBaseline = "middle";
      c.fillStyle = dark && !(this.dark.matches && c.globalAlpha < 1) ? "#1B1B1B" : "#FEFEFE";
      c.fillText(name.length > room ? name.slice(0, room - 1) + "\u2026" : name, left + 3, this.y(y + 0.54));
    }

    // Spans narrower than a pixel that begin in the same one become one bar. It is as high as the share of that time that
    // they took, in the colour of the kind that took most of it. Returns the first span that is not in it.
    drawColumn(row, i, pixel) {
      const at = Math.floor(this.x(row.start[i]));
      const end = this.x.invert(at + 1);
      const time = new Float64Array(this.data.kinds.length);
      let total = 0;
      let hit = false;
      do {
        const length = row.end[i] - row.start[i];
        total += length;
        time[this.data.labels.kind[row.label[i]]] += length;
        hit = hit || (this.searching && row.hit[i] === 1);
        i++;
      } while (i < row.start.length && row.start[i] < end && row.end[i] - row.start[i] < pixel);
      let most = 0;
      for (let kind = 1; kind < time.length; kind++) if (time[kind] > time[most]) most = kind;
      const share = Math.max(0.25, Math.min(1, total / pixel));
      this.context.globalAlpha = this.searching && !hit ? 0.15 : 1;
      this.context.fillStyle = this.colour(most);
      this.rectangle(at, at + 1, this.y(row.y + 0.95 - 0.9 * share), this.y(row.y + 0.95));
      this.context.globalAlpha = 1;
      return i;
    }

    // Below a lane: when its process had a CPU (grey), and when it was ready to run without one (red, half as high).
    drawCpu() {
      const cpu = this.data.cpu;
      for (let i = 0; i < cpu.start.length; i++) {
        const process = this.data.processes[cpu.process[i]];
        const on = cpu.on[i] === 1;
        const high = (process.bottom - process.strip) * (on ? 0.9 : 0.45) * cpu.share[i];
        this.context.fillStyle = on ? this.ink.faint : "#D55E00";
        this.rectangle(this.x(cpu.start[i]), this.x(cpu.start[i] + cpu.length[i]), this.y(process.bottom - high),
                       this.y(process.bottom));
      }
    }

    // Along the upper edge of the process that the path is in, then to the next one.
    drawPath() {
      const c = this.context;
      const path = this.data.path;
      const [from, to] = this.window;
      c.beginPath();
      for (let i = Math.max(0, firstAfter(path.end, from) - 1); i < path.start.length; i++) {
        const y = this.y(this.data.processes[path.process[i]].top - 0.12);
        c.lineTo(Math.max(this.left - 9, this.x(path.start[i])), y);
        c.lineTo(Math.min(this.right + 9, this.x(path.end[i])), y);
        if (path.start[i] > to) break;
      }
      c.lineJoin = "round";
      for (const [colour, width] of [[this.ink.paper, 5], [this.ink.ink, 2.5]]) {
        c.strokeStyle = colour;
        c.lineWidth = width;
        c.stroke();
      }
    }

    // From the edge of the sender's lane to the facing edge of the receiver's.
    drawMessages() {
      const { sender, receiver, send, receive } = this.data.messages;
      const [from, to] = this.window;
      const last = new Map();
      this.context.strokeStyle = this.context.fillStyle = this.ink.ink;
      this.context.lineWidth = 0.8;
      for (let i = 0; i < send.length && send[i] < to; i++) {
        const pair = sender[i] * this.data.processes.length + receiver[i];
        const x = this.x(send[i]);
        if (receive[i] < from || x - (last.has(pair) ? last.get(pair) : -Infinity) < ARROW_GAP) continue;
        last.set(pair, x);
        const [a, b] = [this.data.processes[sender[i]], this.data.processes[receiver[i]]];
        const down = a.top < b.top;
        this.arrow(x, this.y(down ? a.bottom : a.top), this.x(receive[i]), this.y(down ? b.top : b.bottom));
      }
    }

    arrow(x, y, toX, toY) {
      const c = this.context;
      const angle = Math.atan2(toY - y, toX - x);
      c.beginPath();
      c.moveTo(x, y);
      c.lineTo(toX, toY);
      c.stroke();
      c.beginPath();
      c.moveTo(toX, toY);
      for (const turn of [-0.4, 0.4]) c.lineTo(toX - 6 * Math.cos(angle + turn), toY - 6 * Math.sin(angle + turn));
      c.fill();
    }

    // A cross where a signal ended a process.
    drawEnds() {
      const c = this.context;
      c.strokeStyle = c.fillStyle = this.ink.ink;
      c.lineWidth = 2;
      c.font = "11px " + FONT;
      c.textBaseline = "middle";
      for (const process of this.data.processes) {
        if (!process.signal) continue;
        const [x, y] = [this.x(process.end), this.y((process.top + process.bottom) / 2)];
        c.beginPath();
        for (const [dx, dy] of [[4, 4], [4, -4]]) {
          c.moveTo(x - dx, y - dy);
          c.lineTo(x + dx, y + dy);
        }
        c.stroke();
        c.textAlign = x > this.right - 80 ? "right" : "left";
        c.fillText("signal " + process.signal, x + (x > this.right - 80 ? -8 : 8), y);
      }
    }

    drawLabels() {
      const c = this.context;
      c.font = "11px " + FONT;
      c.textAlign = "right";
      c.textBaseline = "middle";
      c.fillStyle = this.ink.ink;
      for (const lane of this.data.lanes) {
        let text = this.width < NARROW ? lane.short : lane.label;
        while (text.length > 2 && c.measureText(text).width > this.left - 8) text = text.slice(0, -2) + "\u2026";
        c.fillText(text, this.left - 6, this.y(lane.middle));
      }
    }
  }

  for (const root of document.querySelectorAll(".timeline")) {
    const figure = root.closest("figure");
    figure.classList.add("scripted");  // before it is measured
    try {
      root.timeline = new Timeline(root);
    } catch (error) {
      figure.classList.remove("scripted");
      throw error;
    }
  }
})();
