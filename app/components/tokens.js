// A prompt's tokens in their order, each on its own background. Every text is set as textContent.

export default function (component) {
  const { data, parentElement } = component;
  const style = getComputedStyle(parentElement.querySelector(".tokens"));
  const paint = data.values ? byValue(data, style) : byRole(data, style);
  parentElement.querySelector(".title").textContent = data.title;
  const text = parentElement.querySelector(".text");
  text.setAttribute("aria-label", data.title);
  text.replaceChildren(...data.tokens.map((token, place) => span(token, data.hover[place], paint.token(place))));
  parentElement.querySelector(".legend").replaceChildren(...paint.legend.map(entry));
}

function span(token, hover, colour) {
  const element = document.createElement("span");
  element.className = colour.strong ? "token strong" : "token";
  element.style.backgroundColor = colour.background;
  element.title = hover;
  if (token === "") element.append(mark("·"));
  for (const piece of token.split(/(\n)/)) {
    if (piece === "\n") element.append(mark("↵"), "\n");
    else element.append(piece);
  }
  return element;
}

function mark(sign) {
  const element = document.createElement("span");
  element.className = "mark";
  element.textContent = sign;
  return element;
}

function entry({ name, background }) {
  const item = document.createElement("li");
  const swatch = document.createElement("span");
  swatch.style.backgroundColor = background;
  item.append(swatch, name);
  return item;
}

// Pale tints of the categorical colours; the role's name is in the hover text and in the legend.
function byRole({ roles, kinds }, style) {
  const colours = style.getPropertyValue("--st-chart-categorical-colors").split(",");
  const tints = new Map(
    kinds.map(([name, colour, share]) => [name, `color-mix(in oklab, ${colours[colour]} ${share}%, transparent)`]),
  );
  const shown = [...tints].filter(([name]) => roles.includes(name));
  return {
    token: (place) => ({ background: tints.get(roles[place]) ?? "transparent", strong: false }),
    legend: shown.map(([name, background]) => ({ name, background })),
  };
}

function byValue({ values, range, diverging, legend }, style) {
  const name = diverging ? "--st-chart-diverging-colors" : "--st-chart-sequential-colors";
  const stops = style.getPropertyValue(name).split(",").map(rgb);
  const [page, text] = ["background", "text"].map((what) => rgb(style.getPropertyValue(`--st-${what}-color`)));
  const ends = [stops[0], stops[stops.length - 1]];
  const mixed = (value) => {
    const size = Math.min(1, Math.abs(value) / (range[1] || 1));
    const end = ends[value < 0 ? 0 : 1];
    return page.map((part, place) => part + size * (end[place] - part));
  };
  const background = (value) => `rgb(${mixed(value).map(Math.round).join(" ")})`;
  // On the stronger colours the page's own is read more easily than the text's.
  const strong = (value) => contrast(page, mixed(value)) > contrast(text, mixed(value));
  return {
    token: (index) => ({ background: background(values[index]), strong: strong(values[index]) }),
    legend: legend.map(([text, value]) => ({ name: text, background: background(value) })),
  };
}

function rgb(text) {
  const hex = text.trim().replace("#", "");
  return [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16));
}

// As WCAG 2 has it.
function contrast(one, other) {
  const light = [one, other].map((colour) => {
    const [red, green, blue] = colour.map((part) => ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  });
  return Math.max(...light) / Math.min(...light);
}
