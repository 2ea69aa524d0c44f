// Draws the figure from the data island, in the page's colours, and lets the keyboard walk along the front.
"use strict";
(() => {
  const chart = document.getElementById("chart");
  const island = document.getElementById("figure");
  if (!chart || !island || !window.Plotly) return;
  const figure = JSON.parse(island.textContent);
  const reader = document.getElementById("chart-reader");

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function coloured() {
    const halo = ["1px 1px", "-1px 1px", "1px -1px", "-1px -1px"].map((at) => `${at} 2px ${colour("paper")}`).join(", ");
    const traces = figure.data.map((trace) => ({
      ...trace,
      line: { ...trace.line, color: colour(trace.meta) },
      marker: {
        ...trace.marker,
        color: colour(trace.meta),
        line: { color: colour("paper"), width: 1, ...trace.marker?.line },
      },
      opacity: trace.meta === "trials" ? 0.75 : 1,
      textfont: { color: colour("ink"), size: trace.meta === "reference" ? 14 : 12, shadow: halo },
    }));
    const axis = { gridcolor: colour("rule"), linecolor: colour("rule"), color: colour("ink") };
    const layout = {
      ...figure.layout,
      margin: { ...figure.layout.margin, t: chart.clientWidth < 600 ? 84 : 48 }, // there the legend takes two lines
      xaxis: { ...figure.layout.xaxis, ...axis },
      yaxis: { ...figure.layout.yaxis, ...axis },
      font: { family: "system-ui, sans-serif", size: 13, color: colour("ink") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("rule"), font: { color: colour("ink") }, align: "left" },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("ink") },
      dragmode: window.matchMedia("(pointer: coarse)").matches ? false : figure.layout.dragmode, // a finger scrolls
      uirevision: "keep", // zoom and legend survive a change of colours
    };
    return [traces, layout];
  }

  const config = {
    responsive: true,
    displaylogo: false,
    scrollZoom: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "svg", filename: "error-against-cost" },
  };
  const draw = () => Plotly.react(chart, ...coloured(), config);
  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  // The points of the front and the seeds, from the cheapest to the dearest.
  const stops = [];
  figure.data.forEach((trace, curveNumber) => {
    if (!trace.hovertext || trace.meta === "trials") return;
    trace.hovertext.forEach((text, pointNumber) => {
      const again = stops.some((stop) => stop.text === text); // a seed on the front is a point of both
      if (!again) stops.push({ x: trace.x[pointNumber], curveNumber, pointNumber, text });
    });
  });
  stops.sort((a, b) => a.x - b.x);
  let at = -1;

  function show(index) {
    at = Math.max(0, Math.min(stops.length - 1, index));
    const { curveNumber, pointNumber, text } = stops[at];
    Plotly.Fx.hover(chart, [{ curveNumber, pointNumber }]);
    const plain = text.replaceAll("<br>", ", ").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
    reader.textContent = `${at + 1} of ${stops.length}: ${plain}`;
  }

  chart.addEventListener("keydown", (event) => {
    if (!stops.length) return;
    const target = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: stops.length - 1 }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      show(target);
    } else if (event.key === "Escape") {
      Plotly.Fx.unhover(chart);
      reader.textContent = "";
    }
  });
})();
