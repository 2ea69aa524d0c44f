// Draws each chart from its data island, in the page's colours, and lets the keyboard walk along its points.
"use strict";
(() => {
  if (!window.Plotly) return;
  const MOST = 200; // stops of one chart: of lines with more points, so many of them, evenly spread

  const config = (name) => ({
    responsive: true,
    displaylogo: false,
    scrollZoom: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "svg", filename: name },
  });

  // What is said of a point: its own text, or the line's name and the two numbers with their axes.
  function said(figure, trace, place) {
    if (trace.hovertext) return trace.hovertext[place];
    const number = (axis, value) => {
      const { title, ticksuffix, tickformat } = figure.layout[axis] ?? {};
      const share = tickformat === ".0%";
      const shown = typeof value === "number" ? Number((share ? 100 * value : value).toPrecision(4)) : value;
      return [title?.text, `${shown}${share ? " %" : (ticksuffix ?? "")}`].filter(Boolean).join(" ");
    };
    return [trace.text?.[place] ?? trace.name, number("xaxis", trace.x[place]), number("yaxis", trace.y[place])].join(", ");
  }

  // Points with texts of their own from the cheapest to the dearest (front, seeds); without any, those of all lines.
  function stopsOf(figure) {
    const found = [];
    const told = figure.data.some((trace) => trace.hovertext);
    figure.data.forEach((trace, curveNumber) => {
      if (trace.hoverinfo === "skip" || (told && (!trace.hovertext || trace.meta in window.nasCharts.faint))) return;
      trace.x.forEach((x, pointNumber) => found.push({ x, curveNumber, pointNumber, text: said(figure, trace, pointNumber) }));
    });
    if (!told) return found.length > MOST ? found.filter((_, n) => n % Math.ceil(found.length / MOST) === 0) : found;
    const once = found.filter((stop, n) => found.findIndex((other) => other.text === stop.text) === n);
    return once.sort((a, b) => a.x - b.x); // a seed on the front is a point of both
  }

  function listen(chart, figure) {
    const reader = document.getElementById(`${chart.id}-reader`);
    const stops = stopsOf(figure);
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
  }

  for (const chart of document.querySelectorAll(".chart[data-figure]")) {
    const island = document.getElementById(`figure-${chart.dataset.figure}`);
    if (!island) continue;
    const figure = JSON.parse(island.textContent);
    const draw = () => Plotly.react(chart, ...window.nasCharts.coloured(figure, chart), config(chart.dataset.figure));
    draw();
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    listen(chart, figure);
  }
})();
