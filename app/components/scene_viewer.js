// Tells from where the viewer looks at a chart in three dimensions, and which of its points is clicked. Streamlit makes
// such a chart anew whenever its figure changes, and would forget the one; it does not tell the other.
const STILL = 4; // pixels that a click may move; what moves more turns the chart

export default function ({ data, setStateValue, setTriggerValue }) {
  let chart = null;
  let under = null;
  let pressed = null;

  const turned = (changed) => {
    const camera = changed["scene.camera"];
    if (camera) setStateValue("camera", camera);
  };
  // Plotly says click for a pressed button, in a drag too, and hover for a click that is shorter than a frame.
  const pointed = ({ points: [point] }) => pointAt(Number.isInteger(point.customdata) ? point.customdata : null);
  const left = () => pointAt(null);
  const pointAt = (item) => {
    under = item;
    const canvas = canvasOf(chart);
    if (canvas) canvas.style.cursor = item === null ? "" : "pointer";
  };
  const down = (event) => {
    pressed = event.target === canvasOf(chart) && event.button === 0 ? [event.clientX, event.clientY] : null;
  };
  const moved = (event) => {
    if (pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > STILL) pressed = null;
  };
  const up = () => {
    if (!pressed) return;
    pressed = null;
    // Which point is under the pointer is told when a frame is drawn; one may be under way.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (under !== null) setTriggerValue("point", under);
    }));
  };
  const told = { plotly_relayout: turned, plotly_hover: pointed, plotly_click: pointed, plotly_unhover: left };
  const felt = { pointerdown: down, pointermove: moved, pointerup: up };

  const leave = () => {
    if (!chart) return;
    for (const [name, listener] of Object.entries(told)) chart.removeListener?.(name, listener);
    for (const [name, listener] of Object.entries(felt)) chart.removeEventListener(name, listener, true);
  };
  const look = () => {
    const found = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
    if (!found?.on || found === chart) return;
    leave();
    chart = found;
    for (const [name, listener] of Object.entries(told)) chart.on(name, listener);
    for (const [name, listener] of Object.entries(felt)) chart.addEventListener(name, listener, true);
    chart.dataset.watched = data.chart;
  };
  const timer = setInterval(look, 200);
  return () => {
    clearInterval(timer);
    leave();
  };
}

function canvasOf(chart) {
  return chart.querySelector("canvas");
}
