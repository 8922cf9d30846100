// Two grids, layer by token, of what the logit lens reads in two runs. Cells are selected in one grid and put into the
// other: by dragging, by Enter or c, or by the button below. All text arrives as data and is set as textContent or drawn.

const pairs = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let pair = pairs.get(parentElement);
  if (!pair) {
    pair = new Pair(parentElement);
    pairs.set(parentElement, pair);
  }
  pair.put = (block) => setTriggerValue("block", block);
  pair.undo = () => setTriggerValue("undo", true);
  pair.show(unpack(data));
  return () => {
    pair.close();
    pairs.delete(parentElement);
  };
}

// [header's length: uint32][header: JSON, padded to 4 bytes][float32 ...], as app/components/patch_grids.py packs it.
function unpack(bytes) {
  const copy = bytes.slice();
  const length = new DataView(copy.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(copy.subarray(4, 4 + length)));
  let at = 4 + length;
  for (const grid of header.grids) {
    const size = header.rows.length * grid.tokens.length;
    for (const name of header.arrays) {
      grid[name] = new Float32Array(copy.buffer, at, size);
      at += 4 * size;
    }
  }
  return header;
}

class Pair {
  constructor(root) {
    this.root = root;
    this.pick = (name) => root.querySelector(name);
    this.grids = [0, 1].map((index) => new Grid(this, index));
    this.pick(".pair").append(...this.grids.map((grid) => grid.side));
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.pick(".pair"));
    this.drag = null;
  }

  close() {
    this.watcher.disconnect();
    for (const grid of this.grids) grid.stop();
  }

  show(data) {
    this.data = data;
    this.pick(".title").textContent = data.title;
    this.pick(".low").textContent = `${number(data.range)} for ${data.low}`;
    this.pick(".high").textContent = `${number(data.range)} for ${data.high}`;
    this.pick(".unit").textContent = data.unit;
    this.grids.forEach((grid, index) => grid.show(data.grids[index]));
    this.draw();
  }

  draw() {
    if (!this.data) return;
    this.theme = this.colours();
    this.drawLegend();
    this.pick(".ramp").style.background =
      `linear-gradient(to right, ${this.theme.stops.map((stop) => css(stop)).join(", ")})`;
    for (const grid of this.grids) grid.draw();
  }

  colours() {
    const style = getComputedStyle(this.pick(".pair"));
    const stops = style.getPropertyValue("--st-chart-diverging-colors").split(",").map(rgb);
    const value = (property) => style.getPropertyValue(`--st-${property}`);
    // The two middle stops lie on either side of zero: put the page's own colour at zero.
    stops.splice(stops.length / 2, 0, rgb(value("background-color")));
    return { stops, page: value("background-color"), text: value("text-color"), line: value("border-color"),
             font: value("font"), roles: style.getPropertyValue("--st-chart-categorical-colors").split(",") };
  }

  colour(value) {
    const { stops } = this.theme;
    const place = Math.min(1, Math.max(0, (value / this.data.range + 1) / 2)) * (stops.length - 1);
    const index = Math.min(stops.length - 2, Math.floor(place));
    return stops[index].map((part, i) => part + (stops[index + 1][i] - part) * (place - index));
  }

  drawLegend() {
    const used = new Set(this.data.grids.flatMap((grid) => grid.roles));
    this.pick(".legend").replaceChildren(...this.data.kinds.filter(([name]) => used.has(name)).map((kind) => {
      const item = document.createElement("li");
      const swatch = document.createElement("span");
      [swatch.style.backgroundColor, swatch.style.opacity] = [this.theme.roles[kind[1]], kind[2] / 100];
      item.append(swatch, kind[0]);
      return item;
    }));
  }

  say(text) {
    this.pick(".status").textContent = text;
  }

  other(grid) {
    return this.grids[1 - grid.index];
  }

  // Why a selection cannot be put into the other run; empty where it can.
  refusal(grid, block) {
    if (!block) return "Select a cell first.";
    const [top, bottom, left, right] = block;
    if (bottom >= this.data.rows.length - 1)
      return "After the last layer only the answer is read: take cells of earlier layers.";
    const missing = [];
    for (let column = left; column <= right; column++)
      if (grid.data.counterparts[column] === null) missing.push(grid.data.tokens[column]);
    if (missing.length) return `No token of the other prompt has the role of “${missing[0].trim()}”: leave it out.`;
    return "";
  }

  send(grid) {
    const block = grid.block();
    const why = this.refusal(grid, block);
    if (why) return this.say(why);
    const [top, bottom, left, right] = block;
    this.say(`${grid.told(block)}: put into ${this.other(grid).data.name.toLowerCase()}.`);
    this.put({ from: grid.data.run, layers: [top - 1, bottom - 1],
               positions: [grid.data.positions[left], grid.data.positions[right]] });
  }

  startDrag(grid, event) {
    const ghost = this.pick(".ghost");
    const why = this.refusal(grid, grid.block());
    ghost.textContent = why || grid.told(grid.block());
    this.drag = { grid, allowed: !why };
    this.moveDrag(event);
  }

  moveDrag(event) {
    const ghost = this.pick(".ghost");
    ghost.hidden = false;
    ghost.style.left = `${event.clientX + 12}px`;
    ghost.style.top = `${event.clientY + 12}px`;
    const target = this.other(this.drag.grid);
    const inside = target.contains(event);
    target.plot.classList.toggle("over", inside && this.drag.allowed);
    target.target = inside && this.drag.allowed ? this.drag.grid.block() : null;
    target.draw();
  }

  endDrag(event, cancelled) {
    const { grid } = this.drag;
    const target = this.other(grid);
    this.drag = null;
    this.pick(".ghost").hidden = true;
    target.plot.classList.remove("over");
    target.target = null;
    target.draw();
    if (!cancelled && target.contains(event)) this.send(grid);
  }

  showTip(grid, row, column) {
    const tip = this.pick(".tip");
    tip.textContent = grid.describe(row, column);
    tip.hidden = false;
    const home = this.root.querySelector(".grids").getBoundingClientRect();
    const bounds = grid.canvas.getBoundingClientRect();
    const x = bounds.left - home.left + grid.box.left + (column + 1) * grid.box.cellWidth + 8;
    const before = x - grid.box.cellWidth - 16 - tip.offsetWidth;
    tip.style.left = `${x + tip.offsetWidth > home.width ? Math.max(0, before) : x}px`;
    tip.style.top = `${bounds.top - home.top + grid.box.top + row * grid.box.cellHeight + 2}px`;
  }

  hideTip() {
    this.pick(".tip").hidden = true;
  }
}

class Grid {
  constructor(pair, index) {
    this.pair = pair;
    this.index = index;
    this.focus = this.anchor = this.target = null;
    this.scrolled = false;
    const make = (tag, name) => Object.assign(document.createElement(tag), { className: name });
    this.side = make("section", "side");
    this.name = make("div", "name");
    this.says = make("div", "says");
    this.plot = Object.assign(make("div", "plot"), { tabIndex: 0 });
    this.canvas = document.createElement("canvas");
    this.button = Object.assign(make("button", "put"), { type: "button" });
    this.plot.setAttribute("role", "application");
    this.plot.setAttribute("aria-roledescription", "heatmap");
    this.plot.append(this.canvas);
    this.side.append(this.name, this.says, this.plot, this.button);
    this.button.onclick = () => this.pair.send(this);
    this.plot.onkeydown = (event) => this.key(event);
    this.plot.onfocus = () => this.plot.matches(":focus-visible") && this.walkTo(this.focus ?? this.start());
    this.plot.onblur = () => { this.pair.hideTip(); this.draw(); };
    this.plot.onscroll = () => this.draw();
    this.canvas.onpointerdown = (event) => this.down(event);
    this.canvas.onpointermove = (event) => this.hover(event);
    this.canvas.onpointerleave = () => this.pair.hideTip();
    this.moved = (event) => this.move(event);
    this.ended = (event) => this.up(event);
  }

  show(data) {
    this.data = data;
    const inside = (cell) => cell && cell[0] < this.pair.data.rows.length && cell[1] < data.tokens.length;
    if (!inside(this.focus) || !inside(this.anchor)) this.focus = this.anchor = null;
    this.name.textContent = data.name;
    this.says.replaceChildren(...data.says.map(([text, strong]) =>
      Object.assign(document.createElement(strong ? "b" : "span"), { textContent: text })));
    this.plot.setAttribute("aria-label", `${data.name}: ${this.pair.data.title}. Arrow keys move, Shift and arrows ` +
      "select a block, Enter or c puts it into the other prompt's run, Backspace takes the last one back.");
    this.refresh();
  }

  refresh() {
    const block = this.block();
    const other = this.pair.data.grids[1 - this.index].name.toLowerCase();
    this.button.textContent = block ? `Put ${this.told(block)} into ${other}` : `Select cells to put into ${other}`;
    this.button.disabled = !block;
  }

  layout() {
    const { rows } = this.pair.data;
    const columns = this.data.tokens.length;
    const room = this.plot.clientWidth;
    const left = 34, bottom = 74, top = 4;
    const [least, most] = this.data.texts ? [46, 60] : [9.5, 26];
    const drawable = 15000 / columns / (window.devicePixelRatio || 1);
    const cellWidth = Math.min(most, Math.max(Math.max(2, Math.min(least, drawable)), (room - left - 4) / columns));
    const cellHeight = Math.min(19, Math.max(11, 500 / rows.length));
    return { left, top, bottom, cellWidth, cellHeight, width: cellWidth * columns, height: cellHeight * rows.length };
  }

  draw() {
    if (!this.data || !this.plot.clientWidth || !this.pair.theme) return;
    const box = (this.box = this.layout());
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [box.left + box.width + 4, box.top + box.height + box.bottom];
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    this.drawCells(context, box);
    this.drawTicks(context, box);
    for (const block of this.data.blocks) this.frame(context, block, 2, []);
    if (this.target) this.frame(context, this.mapped(this.target), 2, [4, 3]);
    if (this.block()) this.frame(context, this.block(), 3, []);
    if (this.focus && this.plot.matches(":focus")) this.frame(context, [this.focus[0], this.focus[0], this.focus[1], this.focus[1]], 1.5, [2, 2]);
    this.drawRows(context, box);
    if (!this.scrolled && this.plot.scrollWidth > this.plot.clientWidth) this.plot.scrollLeft = this.plot.scrollWidth;
    this.scrolled = true;
  }

  drawCells(context, box) {
    const { rows } = this.pair.data;
    const { tokens, lead, best, bestBefore, counterparts } = this.data;
    const written = box.cellWidth >= 9 && box.cellHeight >= 10;
    context.font = `500 ${Math.min(10, box.cellHeight - 2)}px ${this.pair.theme.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let row = 0; row < rows.length; row++) {
      for (let column = 0; column < tokens.length; column++) {
        const index = row * tokens.length + column;
        const [x, y] = [box.left + column * box.cellWidth, box.top + row * box.cellHeight];
        const fill = this.pair.colour(lead[index]);
        context.globalAlpha = counterparts[column] === null ? 0.45 : 1;
        context.fillStyle = css(fill);
        context.fillRect(x, y, box.cellWidth - 0.7, box.cellHeight - 0.7);
        if (written) {
          context.fillStyle = bright(fill) ? "#16191d" : "#f4f2ee";
          context.fillText(clip(context, this.written(index), box.cellWidth - 2), x + box.cellWidth / 2, y + box.cellHeight / 2 + 0.5);
        }
        if (best[index] !== bestBefore[index]) {
          context.fillStyle = this.pair.theme.text;
          context.beginPath();
          context.moveTo(x + box.cellWidth - 5, y);
          context.lineTo(x + box.cellWidth - 0.7, y);
          context.lineTo(x + box.cellWidth - 0.7, y + 4.3);
          context.fill();
        }
      }
    }
    context.globalAlpha = 1;
    context.strokeStyle = this.pair.theme.line;
    context.lineWidth = 1;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width, box.height);
  }

  drawTicks(context, box) {
    const { kinds } = this.pair.data;
    const { tokens, roles } = this.data;
    const { text, font } = this.pair.theme;
    const known = new Map(kinds.map((kind) => [kind[0], kind]));
    for (const [column, role] of roles.entries()) {
      const kind = known.get(role);
      if (!kind) continue;
      [context.fillStyle, context.globalAlpha] = [this.pair.theme.roles[kind[1]], kind[2] / 100];
      context.fillRect(box.left + column * box.cellWidth, box.top + box.height + 1, box.cellWidth, box.bottom - 8);
    }
    context.globalAlpha = 1;
    context.fillStyle = text;
    context.font = `10px ${font}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const columnStep = Math.max(1, Math.ceil(10 / box.cellWidth));
    for (let column = 0; column < tokens.length; column += columnStep) {
      context.save();
      context.translate(box.left + (column + 0.5) * box.cellWidth, box.top + box.height + 4);
      context.rotate(-Math.PI / 2);
      context.fillText(clip(context, visible(tokens[column]), box.bottom - 12), 0, 0);
      context.restore();
    }
  }

  // The layers' names stay in sight while the tokens scroll.
  drawRows(context, box) {
    const { rows } = this.pair.data;
    const { text, font, page } = this.pair.theme;
    const left = this.plot.scrollLeft;
    context.fillStyle = page;
    context.fillRect(left, 0, box.left - 0.5, box.top + box.height + box.bottom);
    context.fillStyle = text;
    context.font = `10px ${font}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const step = box.cellHeight >= 12 ? 1 : 2;
    for (let row = 0; row < rows.length; row++)
      if (row === 0 || (row - 1) % step === 0 || row === rows.length - 1)
        context.fillText(clip(context, row ? rows[row] : "emb.", 30), left + box.left - 4, box.top + (row + 0.5) * box.cellHeight);
  }

  changed(index) {
    const { lead, leadBefore, best, bestBefore } = this.data;
    return lead[index] !== leadBefore[index] || best[index] !== bestBefore[index];
  }

  // The likeliest token, where it was asked for and no patch changed the cell; else the letter.
  written(index) {
    const { texts, word, best } = this.data;
    return texts && !this.changed(index) ? visible(texts[word[index]]) : this.pair.data.labels[best[index]];
  }

  frame(context, [top, bottom, left, right], width, dash) {
    const { cellWidth, cellHeight } = this.box;
    const box = [this.box.left + left * cellWidth - 0.5, this.box.top + top * cellHeight - 0.5,
                 (right - left + 1) * cellWidth, (bottom - top + 1) * cellHeight];
    for (const [colour, thick] of [[this.pair.theme.page, width + 2], [this.pair.theme.text, width]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.setLineDash(thick === width ? dash : []);
      context.strokeRect(...box);
    }
    context.setLineDash([]);
    context.lineWidth = 1;
  }

  // The other grid's block in this grid's columns.
  mapped([top, bottom, left, right]) {
    const other = this.pair.other(this).data;
    const columns = other.counterparts.slice(left, right + 1).filter((at) => at !== null)
      .map((at) => this.data.positions.indexOf(at)).filter((at) => at >= 0);
    return columns.length ? [top, bottom, Math.min(...columns), Math.max(...columns)] : [top, top, 0, 0];
  }

  block() {
    if (!this.anchor || !this.focus) return null;
    const [rows, columns] = [0, 1].map((axis) => [this.anchor[axis], this.focus[axis]].sort((a, b) => a - b));
    return [...rows, ...columns];
  }

  // A block in words.
  told([top, bottom, left, right]) {
    const layer = (row) => (row ? `layer ${this.pair.data.rows[row]}` : "the embedding");
    const layers = top === bottom ? (top ? `after ${layer(top)}` : layer(top)) : `${layer(top)} to ${layer(bottom)}`;
    const [first, last] = [left, right].map((column) => `“${visible(this.data.tokens[column])}”`);
    return left === right ? `${first}, ${layers}` : `${first} to ${last}, ${layers}`;
  }

  start() {
    return [Math.floor(this.pair.data.rows.length / 2), this.data.tokens.length - 1];
  }

  cellAt(event, clamped) {
    const bounds = this.canvas.getBoundingClientRect();
    let row = Math.floor((event.clientY - bounds.top - this.box.top) / this.box.cellHeight);
    let column = Math.floor((event.clientX - bounds.left - this.box.left) / this.box.cellWidth);
    const within = (value, count) => Math.min(count - 1, Math.max(0, value));
    const [rows, columns] = [this.pair.data.rows.length, this.data.tokens.length];
    if (clamped) return [within(row, rows), within(column, columns)];
    const named = event.clientX < this.plot.getBoundingClientRect().left + this.box.left;
    return !named && row >= 0 && column >= 0 && row < rows && column < columns ? [row, column] : null;
  }

  contains(event) {
    const bounds = this.plot.getBoundingClientRect();
    return event.clientX >= bounds.left && event.clientX <= bounds.right &&
           event.clientY >= bounds.top && event.clientY <= bounds.bottom;
  }

  hover(event) {
    const cell = this.cellAt(event);
    const block = this.block();
    const held = cell && block && cell[0] >= block[0] && cell[0] <= block[1] && cell[1] >= block[2] && cell[1] <= block[3];
    this.canvas.classList.toggle("grab", Boolean(held));
    if (this.pressed || this.pair.drag) return;
    if (cell) this.pair.showTip(this, ...cell);
    else this.pair.hideTip();
    this.held = Boolean(held);
  }

  down(event) {
    const cell = this.cellAt(event);
    if (!cell || event.button) return;
    this.hover(event);
    this.pair.hideTip();
    const again = this.held && event.pointerType === "mouse" && !event.shiftKey;
    this.pressed = { cell, again, touch: event.pointerType !== "mouse" };
    if (!again) {
      if (!event.shiftKey || !this.anchor) this.anchor = cell;
      this.focus = cell;
      this.pair.other(this).clear();
    }
    if (!this.pressed.touch) event.preventDefault();
    this.plot.focus({ preventScroll: true, focusVisible: false });
    window.addEventListener("pointermove", this.moved);
    window.addEventListener("pointerup", this.ended);
    window.addEventListener("pointercancel", this.ended);
    this.update();
  }

  move(event) {
    if (this.pressed.touch) return;
    if (this.pair.drag) return this.pair.moveDrag(event);
    const left = !this.contains(event);
    if (this.pressed.again || left) {
      // A cell that is pressed and pulled out of its grid is dragged alone; a block is, when it is pressed again.
      if (!this.pressed.again) this.anchor = this.focus = this.pressed.cell;
      const cell = this.cellAt(event);
      const still = cell && cell[0] === this.pressed.cell[0] && cell[1] === this.pressed.cell[1];
      if (!still) this.pair.startDrag(this, event);
    } else this.focus = this.cellAt(event, true);
    this.update();
  }

  up(event) {
    this.stop();
    const pressed = this.pressed;
    this.pressed = null;
    if (this.pair.drag) this.pair.endDrag(event, event.type === "pointercancel");
    else if (pressed?.again) this.anchor = this.focus = pressed.cell;
    this.update();
  }

  stop() {
    window.removeEventListener("pointermove", this.moved);
    window.removeEventListener("pointerup", this.ended);
    window.removeEventListener("pointercancel", this.ended);
  }

  clear() {
    this.anchor = this.focus = null;
    this.update();
  }

  update() {
    this.draw();
    this.refresh();
  }

  key(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const at = this.focus ?? this.start();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) {
      const within = (value, count) => Math.min(count - 1, Math.max(0, value));
      const [down, right] = moves[event.key];
      const cell = [within(at[0] + down, this.pair.data.rows.length), within(at[1] + right, this.data.tokens.length)];
      this.walkTo(this.focus ? cell : at, event.shiftKey);
    } else if (event.key === " ") this.walkTo(at, event.shiftKey);
    else if (event.key === "Enter" || event.key === "c") {
      if (!this.block()) this.walkTo(at);
      this.pair.send(this);
    } else if (event.key === "Backspace") this.pair.undo();
    else if (event.key === "Escape") {
      this.pair.hideTip();
      this.clear();
    } else return;
    event.preventDefault();
  }

  walkTo(cell, extend = false) {
    if (!extend || !this.anchor) this.anchor = cell;
    this.focus = cell;
    this.pair.other(this).clear();
    this.update();
    const x = this.box.left + cell[1] * this.box.cellWidth;
    if (x < this.plot.scrollLeft + this.box.left) this.plot.scrollLeft = x - this.box.left;
    if (x + this.box.cellWidth > this.plot.scrollLeft + this.plot.clientWidth)
      this.plot.scrollLeft = x + this.box.cellWidth - this.plot.clientWidth;
    this.pair.showTip(this, ...cell);
    this.pair.say(extend ? this.told(this.block()) : this.describe(...cell).replaceAll("\n", ", "));
  }

  describe(row, column) {
    const { rows, labels, high, low } = this.pair.data;
    const { tokens, positions, roles, lead, leadBefore, best, bestBefore, counterparts, texts, word, chance } = this.data;
    const index = row * tokens.length + column;
    const ahead = (value) => (value >= 0 ? `${high} leads ${low} by ${number(value)}` : `${low} leads ${high} by ${number(-value)}`);
    const changed = this.changed(index);
    return [
      `token ${positions[column]} “${visible(tokens[column])}” (${roles[column]})`,
      row ? `after layer ${rows[row]}` : "the embedding",
      `the lens reads ${labels[best[index]]}; ${ahead(lead[index])} logits`,
      ...(texts && !changed ? [`likeliest token “${visible(texts[word[index]])}”, ${(100 * chance[index]).toFixed(1)} %`] : []),
      ...(changed ? [`without the patches ${labels[bestBefore[index]]}; ${ahead(leadBefore[index])} logits`] : []),
      ...(counterparts[column] === null ? ["no counterpart in the other prompt"] : []),
    ].join("\n");
  }
}

function visible(token) {
  return token.trim() || (token.includes("\n") ? "\\n" : "␣");
}

function clip(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  const letters = [...text];
  while (letters.length && context.measureText(letters.join("") + "…").width > room) letters.pop();
  return letters.join("") + "…";
}

function number(value) {
  const size = Math.abs(value);
  const text = size >= 100 ? value.toFixed(0) : size >= 1 ? value.toFixed(2) : value.toPrecision(2);
  return value === 0 ? "0" : (size < 1e-4 ? value.toExponential(1) : String(Number(text))).replace("-", "−");
}

function bright([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue > 135;
}

function rgb(text) {
  const hex = text.trim().replace("#", "");
  return [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

function css(parts) {
  return `rgb(${parts.map(Math.round).join(" ")})`;
}
