// Charts in the page's colours: each trace names its colour in `meta`, and palette.css says what it is now.
"use strict";
window.nasCharts = (() => {
  const FAINT = { trials: 0.9, random: 0.9, infeasible: 0.6 };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function trace(each) {
    const halo = ["1px 1px", "-1px 1px", "1px -1px", "-1px -1px"].map((at) => `${at} 2px ${colour("paper")}`).join(", ");
    const open = /open|thin/.test(each.marker?.symbol ?? "");
    return {
      ...each,
      line: { ...each.line, color: colour(each.meta) },
      marker: {
        ...each.marker,
        color: colour(each.meta),
        line: { color: colour(open ? each.meta : "paper"), width: 1, ...each.marker?.line },
      },
      opacity: each.opacity ?? FAINT[each.meta] ?? 1,
      textfont: { color: colour("ink"), size: each.meta === "reference" ? 14 : 12, shadow: halo },
    };
  }

  function axis(each) {
    return { ...each, gridcolor: colour("rule"), linecolor: colour("rule"), color: colour("ink") };
  }

  function layout(plain, narrow) {
    const axes = Object.entries(plain).filter(([name]) => /^[xy]axis/.test(name)).map(([name, each]) => [name, axis(each)]);
    const deep = Object.entries(plain.scene ?? {}).map(([name, each]) => [name, /axis$/.test(name) ? axis(each) : each]);
    return {
      ...plain,
      ...Object.fromEntries(axes),
      ...(plain.scene ? { scene: Object.fromEntries(deep) } : {}),
      margin: { ...plain.margin, t: Math.max(plain.margin?.t ?? 48, narrow && plain.showlegend !== false ? 84 : 0) }, // there the legend takes two lines
      font: { family: "system-ui, sans-serif", size: 13, color: colour("ink") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("rule"), font: { color: colour("ink") }, align: "left" },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("ink") },
      dragmode: window.matchMedia("(pointer: coarse)").matches ? false : plain.dragmode, // a finger scrolls
      uirevision: plain.uirevision ?? "keep", // zoom and legend survive a change of colours
    };
  }

  const config = {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false,
    modeBarButtonsToRemove: ["toImage", "select2d", "autoScale2d"],
  };

  return {
    colour,
    config,
    faint: FAINT,
    coloured: (figure, chart) => [figure.data.map(trace), layout(figure.layout, (chart?.clientWidth ?? 1000) < 600)],
  };
})();
