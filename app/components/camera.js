// Tells from where the viewer looks at a chart in three dimensions. Streamlit makes such a chart anew whenever its figure
// changes, and would forget it.
export default function ({ data, setStateValue }) {
  let watched = null;
  const tell = (changed) => {
    const camera = changed["scene.camera"];
    if (camera) setStateValue("camera", camera);
  };
  const look = () => {
    const chart = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
    if (!chart?.on || chart === watched) return;
    watched = chart;
    chart.dataset.watched = "camera";
    chart.on("plotly_relayout", tell);
  };
  const timer = setInterval(look, 200);
  return () => {
    clearInterval(timer);
    watched?.removeListener?.("plotly_relayout", tell);
  };
}
