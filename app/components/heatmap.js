// A grid of numbers as a grid of colours. Cells can be hovered, walked with the arrow keys, and (where `clickable`)
// picked with a click or Enter. All text arrives as data and is set as textContent or drawn on the canvas.

const views = new WeakMap();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let view = views.get(parentElement);
  if (!view) {
    view = new Heatmap(parentElement);
    views.set(parentElement, view);
  }
  view.pick = (row, column) => setTriggerValue("cell", [row, column]);
  view.show(unpack(data));
  return () => {
    view.close();
    views.delete(parentElement);
  };
}

// [header's length: uint32][header: JSON, padded to 4 bytes][float32 ...], as app/components/heatmap.py packs it.
function unpack(bytes) {
  const copy = bytes.slice();
  const length = new DataView(copy.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(copy.subarray(4, 4 + length)));
  const all = new Float32Array(copy.buffer, 4 + length);
  const size = header.rows.length * header.columns.length;
  const parts = header.arrays.map((name, index) => [name, all.subarray(index * size, (index + 1) * size)]);
  return { ...header, ...Object.fromEntries(parts) };
}

class Heatmap {
  constructor(root) {
    this.root = root;
    this.plot = root.querySelector(".plot");
    this.canvas = root.querySelector("canvas");
    this.tip = root.querySelector(".tip");
    this.focus = null;
    this.plot.onmousemove = (event) => this.hover(event);
    this.plot.onmouseleave = () => this.hideTip();
    this.plot.onclick = (event) => this.click(event);
    this.plot.onkeydown = (event) => this.key(event);
    this.plot.onfocus = () => this.plot.matches(":focus-visible") && this.walkTo(this.focus ?? this.start());
    this.plot.onblur = () => this.hideTip();
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.plot);
  }

  close() {
    this.watcher.disconnect();
  }

  show(data) {
    this.data = data;
    const within = (cell) => cell && cell[0] < data.rows.length && cell[1] < data.columns.length;
    if (!within(this.focus)) this.focus = null;
    const text = (name, value) => (this.root.querySelector(name).textContent = value);
    text(".title", data.title);
    text(".low", number(data.range[0]));
    text(".middle", number(data.range[0] + (data.range[1] - data.range[0]) * (data.root ? 0.25 : 0.5)));
    text(".high", number(data.range[1]));
    text(".unit", data.unit);
    this.plot.classList.toggle("clickable", data.clickable);
    this.root.querySelector(".bar").hidden = data.categories.length > 0;
    const keys = data.clickable ? "Arrow keys move, Enter opens." : "Arrow keys move.";
    this.plot.setAttribute("aria-label", `${data.title}. ${data.rowAxis} by ${data.columnAxis}. ${keys}`);
    this.draw();
    if (!this.tip.hidden && within(this.told)) this.showTip(...this.told);
    else this.hideTip();
  }

  colours() {
    const style = getComputedStyle(this.plot);
    const name = this.data.diverging ? "--st-chart-diverging-colors" : "--st-chart-sequential-colors";
    const stops = style.getPropertyValue(name).split(",").map(rgb);
    // The two middle stops of a diverging scale lie on either side of zero: put the page's own colour at zero.
    if (this.data.diverging) stops.splice(stops.length / 2, 0, rgb(style.getPropertyValue("--st-background-color")));
    const value = (property) => style.getPropertyValue(`--st-${property}`);
    return { stops, page: value("background-color"), text: value("text-color"), line: value("border-color"),
             font: value("font") };
  }

  layout() {
    const { rows, columns, square } = this.data;
    const context = this.canvas.getContext("2d");
    context.font = `11px ${this.theme.font}`;
    const widest = (texts) => Math.min(90, Math.max(...texts.map((text) => context.measureText(text).width)));
    const left = Math.ceil(widest(rows)) + 26;
    const turned = widest(columns) > 22;
    const bottom = (turned ? Math.ceil(widest(columns)) : 12) + 24;
    const width = Math.max(60, this.plot.clientWidth - left - 6);
    const cellWidth = square ? Math.min(22, width / columns.length) : width / columns.length;
    const cellHeight = square ? cellWidth : Math.min(20, Math.max(7, 520 / rows.length));
    return { left, top: 7, bottom, turned, cellWidth, cellHeight, width: cellWidth * columns.length,
             height: cellHeight * rows.length };
  }

  draw() {
    if (!this.data || !this.plot.clientWidth) return;
    this.theme = this.colours();
    const box = (this.box = this.layout());
    const ratio = window.devicePixelRatio || 1;
    const height = box.top + box.height + box.bottom;
    this.canvas.width = Math.round(this.plot.clientWidth * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    this.drawCells(context, box);
    if (this.data.categories.length) this.drawCategories(context, box);
    else this.drawRoles(context, box);
    this.drawTicks(context, box);
    for (const [row, column] of this.data.marked) this.frame(context, row, column, 1.5);
    if (this.focus && this.plot.matches(":focus")) this.frame(context, ...this.focus, 3);
    this.root.querySelector(".ramp").style.background =
      `linear-gradient(to right, ${this.theme.stops.map((stop) => css(stop)).join(", ")})`;
  }

  drawCells(context, box) {
    const { rows, columns, values, estimate, missing } = this.data;
    const gap = Math.min(box.cellWidth, box.cellHeight) >= 6 ? 1 : 0;
    const width = box.cellWidth - gap + (gap ? 0 : 0.5);
    const height = box.cellHeight - gap + (gap ? 0 : 0.5);
    const [across, down] = [width, height].map((side) => Math.max(2, 0.5 * side));
    const hatching = missing && this.hatching(context);
    for (let row = 0; row < rows.length; row++) {
      for (let column = 0; column < columns.length; column++) {
        const index = row * columns.length + column;
        const left = box.left + column * box.cellWidth;
        const top = box.top + row * box.cellHeight;
        if (!Number.isNaN(values[index])) {
          context.fillStyle = this.colour(values[index]);
          context.fillRect(left, top, width, height);
        } else if (estimate && !Number.isNaN(estimate[index])) {
          context.fillStyle = this.colour(estimate[index]);
          context.fillRect(left + (width - across) / 2, top + (height - down) / 2, across, down);
        } else if (hatching) {
          context.fillStyle = hatching;
          context.fillRect(left, top, width, height);
        }
      }
    }
    context.strokeStyle = this.theme.line;
    context.strokeRect(box.left - 0.5, box.top - 0.5, box.width, box.height);
  }

  // Each category has a mark as well as a colour, in the cells and in the legend.
  drawCategories(context, box) {
    const { rows, columns, values, categories } = this.data;
    context.font = `600 ${Math.min(11, box.cellHeight - 2)}px ${this.theme.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    if (Math.min(box.cellWidth, box.cellHeight) >= 9)
      values.forEach((value, index) => {
        if (Number.isNaN(value)) return;
        const [row, column] = [Math.floor(index / columns.length), index % columns.length];
        context.fillStyle = inkOn(categories[value][2]);
        context.fillText(categories[value][1], box.left + (column + 0.5) * box.cellWidth - 0.5,
                         box.top + (row + 0.5) * box.cellHeight);
      });
    this.root.querySelector(".legend").replaceChildren(
      ...categories.map(([name, mark, colour], place) => {
        const item = document.createElement("li");
        const swatch = document.createElement("span");
        swatch.className = "mark";
        swatch.style.backgroundColor = colour;
        swatch.style.color = inkOn(colour);
        swatch.textContent = mark;
        item.append(swatch, `${name} (${values.filter((value) => value === place).length})`);
        return item;
      }),
    );
  }

  hatching(context) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const brush = tile.getContext("2d");
    brush.strokeStyle = this.theme.text;
    brush.globalAlpha = 0.35;
    brush.beginPath();
    for (const shift of [-3, 3, 9]) {
      brush.moveTo(shift - 3, 6);
      brush.lineTo(shift + 3, 0);
    }
    brush.stroke();
    return context.createPattern(tile, "repeat");
  }

  // The ticks of tokens stand on their roles' colours, those of the token strips.
  drawRoles(context, box) {
    const colours = getComputedStyle(this.root.querySelector(".heatmap"))
      .getPropertyValue("--st-chart-categorical-colors").split(",");
    const tint = (kind) => (kind ? [colours[kind[1]], kind[2] / 100] : ["transparent", 0]);
    const { roles, kinds } = this.data;
    const known = new Map(kinds.map((kind) => [kind[0], kind]));
    for (const [column, role] of roles.entries()) {
      [context.fillStyle, context.globalAlpha] = tint(known.get(role));
      context.fillRect(box.left + column * box.cellWidth, box.top + box.height + 1, box.cellWidth, box.bottom - 20);
    }
    context.globalAlpha = 1;
    this.root.querySelector(".legend").replaceChildren(
      ...kinds.filter(([name]) => roles.includes(name)).map((kind) => {
        const item = document.createElement("li");
        const swatch = document.createElement("span");
        [swatch.style.backgroundColor] = tint(kind);
        swatch.style.opacity = kind[2] / 100;
        item.append(swatch, kind[0]);
        return item;
      }),
    );
  }

  drawTicks(context, box) {
    const { rows, columns, rowAxis, columnAxis } = this.data;
    context.fillStyle = this.theme.text;
    context.font = `11px ${this.theme.font}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const rowStep = step(13 / box.cellHeight);
    for (let row = 0; row < rows.length; row += rowStep)
      context.fillText(clip(context, rows[row], 90), box.left - 5, box.top + (row + 0.5) * box.cellHeight);
    const columnStep = step((box.turned ? 13 : 24) / box.cellWidth);
    for (let column = 0; column < columns.length; column += columnStep) {
      context.save();
      context.translate(box.left + (column + 0.5) * box.cellWidth, box.top + box.height + 5);
      if (box.turned) context.rotate(-Math.PI / 2);
      else { context.textAlign = "center"; context.textBaseline = "top"; }
      context.fillText(clip(context, columns[column], 90), 0, 0);
      context.restore();
    }
    context.font = `600 11px ${this.theme.font}`;
    context.textAlign = "center";
    context.textBaseline = "bottom";
    context.fillText(columnAxis, box.left + box.width / 2, box.top + box.height + box.bottom - 2);
    context.save();
    context.translate(12, box.top + box.height / 2);
    context.rotate(-Math.PI / 2);
    context.fillText(rowAxis, 0, 0);
    context.restore();
  }

  // Two lines, one in the text's colour and one in the page's, so that it shows on any cell.
  frame(context, row, column, width) {
    const box = this.box;
    for (const [colour, out] of [[this.theme.page, 0], [this.theme.text, width]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect(box.left + column * box.cellWidth - out, box.top + row * box.cellHeight - out,
                         box.cellWidth + 2 * out - 1, box.cellHeight + 2 * out - 1);
    }
    context.lineWidth = 1;
  }

  colour(value) {
    if (this.data.categories.length) return this.data.categories[value][2];
    const [low, high] = this.data.range;
    const share = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5;
    const place = this.data.root ? Math.sqrt(share) : share;
    const stops = this.theme.stops;
    const scaled = place * (stops.length - 1);
    const index = Math.min(stops.length - 2, Math.floor(scaled));
    return css(stops[index].map((part, i) => part + (stops[index + 1][i] - part) * (scaled - index)));
  }

  cellAt(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - bounds.top - this.box.top) / this.box.cellHeight);
    const column = Math.floor((event.clientX - bounds.left - this.box.left) / this.box.cellWidth);
    const inside = row >= 0 && column >= 0 && row < this.data.rows.length && column < this.data.columns.length;
    return inside ? [row, column] : null;
  }

  start() {
    return this.data.marked[0] ?? [0, 0];
  }

  hover(event) {
    const cell = this.cellAt(event);
    if (cell) this.showTip(...cell);
    else this.hideTip();
  }

  click(event) {
    const cell = this.cellAt(event);
    if (!cell) return;
    this.focus = cell;
    if (this.data.clickable) this.pick(...cell);
  }

  key(event) {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const at = this.focus ?? this.start();
    if (event.key === "Enter" && this.data.clickable) this.pick(...at);
    else if (event.key === "Escape") this.hideTip();
    else if (event.key in moves) {
      const [down, right] = moves[event.key];
      const within = (value, count) => Math.min(count - 1, Math.max(0, value));
      this.walkTo([within(at[0] + down, this.data.rows.length), within(at[1] + right, this.data.columns.length)]);
    } else return;
    event.preventDefault();
  }

  walkTo(cell) {
    this.focus = cell;
    this.draw();
    this.showTip(...cell);
    this.root.querySelector(".spoken").textContent = this.describe(...cell);
  }

  describe(row, column) {
    const { rows, columns, rowAxis, columnAxis, values, low, high, estimate, spread, missing, unit, heads, roles } = this.data;
    const role = roles.length ? ` (${roles[column]})` : "";
    const name = heads ? (columns[column] === "MLP" ? `MLP ${rows[row]}` : `L${rows[row]}H${columns[column]}`) : `${rowAxis} ${rows[row]}\n${columnAxis} ${columns[column]}${role}`;
    const index = row * columns.length + column;
    if (this.data.categories.length) return `${name}: ${this.data.texts[index]}`;
    if (!Number.isNaN(values[index])) {
      const interval = low && high ? ` (95 % ${number(low[index])} to ${number(high[index])})` : "";
      const around = spread ? ` ± ${number(spread[index])}` : "";
      return `${name}: ${number(values[index])}${around} ${unit}${interval}${estimate ? ", exact" : ""}`;
    }
    if (estimate && !Number.isNaN(estimate[index])) return `${name}: ${number(estimate[index])} ${unit}, estimate`;
    return `${name}: ${missing || "none"}`;
  }

  showTip(row, column) {
    this.told = [row, column];
    this.tip.textContent = this.describe(row, column);
    this.tip.hidden = false;
    const x = this.box.left + (column + 1) * this.box.cellWidth + 6;
    const overflow = x + this.tip.offsetWidth > this.plot.clientWidth;
    const before = this.box.left + column * this.box.cellWidth - this.tip.offsetWidth - 6;
    this.tip.style.left = `${overflow ? Math.max(0, before) : x}px`;
    this.tip.style.top = `${Math.max(0, this.box.top + row * this.box.cellHeight - 6)}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }
}

function step(least) {
  return [1, 2, 4, 5, 10, 20, 50, 100, 200].find((size) => size >= least) ?? 500;
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

function rgb(text) {
  const hex = text.trim().replace("#", "");
  return [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

// Black or white, whichever is easier to read on this colour.
function inkOn(colour) {
  const [red, green, blue] = rgb(colour).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

function css(parts) {
  return `rgb(${parts.map(Math.round).join(" ")})`;
}
