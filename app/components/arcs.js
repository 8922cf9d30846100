// A prompt's tokens, and arcs from the last of them to those that heads read. Every text is set as textContent.

const SVG = "http://www.w3.org/2000/svg";
const WIDEST = 13;

export default function (component) {
  const { data, parentElement } = component;
  const find = (name) => parentElement.querySelector(name);
  find(".title").textContent = data.title;
  const text = find(".text");
  text.setAttribute("aria-label", data.title);
  const spans = data.tokens.map((token, position) => span(token, data.tints[position]));
  spans.at(-1).classList.add("end");
  text.replaceChildren(...spans);
  find(".legend").replaceChildren(...data.legend.map(entry));
  const draw = () => drawArcs(data.arcs, spans, find(".stage"));
  // Arcs follow the tokens' places, which change with the width of the page and when the font has come.
  const observer = new ResizeObserver(draw);
  observer.observe(text);
  draw();
  return () => observer.disconnect();
}

function span(token, tint) {
  const element = document.createElement("span");
  element.className = "token";
  if (tint) element.style.borderBottomColor = tint;
  element.textContent = token === "" ? "·" : token.replace(/\n/g, "↵\n");
  return element;
}

function entry([name, colour]) {
  const item = document.createElement("li");
  const swatch = document.createElement("span");
  swatch.style.backgroundColor = colour;
  item.append(swatch, name);
  return item;
}

function drawArcs(arcs, spans, stage) {
  const frame = stage.getBoundingClientRect();
  const svg = stage.querySelector("svg");
  const tip = stage.querySelector(".tip");
  svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
  const middle = (element) => {
    const box = element.getClientRects()[0] ?? element.getBoundingClientRect();
    return { x: (box.left + box.right) / 2 - frame.left, y: box.top - frame.top + 1, left: box.left - frame.left, mid: (box.top + box.bottom) / 2 - frame.top };
  };
  const end = middle(spans.at(-1));
  const paths = arcs.map((arc) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", curve(end, middle(spans[arc.position])));
    path.setAttribute("stroke", arc.colour);
    path.setAttribute("stroke-width", String(1 + WIDEST * arc.share));
    path.dataset.head = arc.head;
    path.addEventListener("pointerenter", (event) => point(arc, event));
    path.addEventListener("pointermove", (event) => move(event));
    path.addEventListener("pointerleave", leave);
    return path;
  });
  svg.replaceChildren(...paths);

  function point(arc, event) {
    for (const path of paths) path.classList.toggle("faint", path.dataset.head !== arc.head);
    tip.textContent = arc.hover;
    tip.hidden = false;
    move(event);
  }
  function move(event) {
    const x = event.clientX - frame.left;
    tip.style.left = `${Math.max(0, Math.min(x + 12, frame.width - tip.offsetWidth - 4))}px`;
    const top = event.clientY - stage.getBoundingClientRect().top;
    tip.style.top = `${Math.max(0, top - tip.offsetHeight - 10)}px`;
  }
  function leave() {
    for (const path of paths) path.classList.remove("faint");
    tip.hidden = true;
  }
}

// On one line of text an arc above it; between lines a curve that leaves to the left, clear of the text.
function curve(from, to) {
  if (Math.abs(from.mid - to.mid) < 4) {
    const rise = Math.min(26, 8 + Math.abs(from.x - to.x) / 6);
    return `M${from.x} ${from.y} C${from.x} ${from.y - rise} ${to.x} ${to.y - rise} ${to.x} ${to.y}`;
  }
  const bend = Math.min(Math.max(4, Math.min(from.left, to.left) - 14 - Math.abs(from.mid - to.mid) / 4), to.left);
  return `M${from.left} ${from.mid} C${bend} ${from.mid} ${bend} ${to.mid} ${to.left - 2} ${to.mid}`;
}
