// What happens in the browser alone: colours, the selected point, the lasso, the keyboard, the address, saved pictures.
"use strict";
(() => {
  const unchanged = () => window.dash_clientside.no_update; // Dash's own, which is loaded after this
  const props = (id, values) => window.dash_clientside.set_props(id, values);
  const byId = (id) => document.getElementById(id);
  const plot = (id) => byId(id)?.querySelector(".js-plotly-plot");
  const memory = { scene: null, lasso: null, zoomed: false, walked: null, grid: null, arranged: null, webgl: null, removed: new Set() };

  // --------------------------------------------------------------------------------------------------------- numbers

  function amount(value, unit = "") {
    if (value === null || value === undefined || Number.isNaN(value)) return "";
    const size = Math.abs(value);
    const [scale, prefix] = unit.trim() === "ms" ? [1, ""] : size >= 999.5e6 ? [1e9, " G"] : size >= 999.5e3 ? [1e6, " M"] : size >= 999.5 ? [1e3, " k"] : [1, ""];
    return `${Number((value / scale).toPrecision(3))}${prefix}${unit}`;
  }
  const percent = (value) => (value === null || value === undefined ? "" : `${value.toFixed(2)} %`);
  const seconds = (value) => (value === null || value === undefined ? "" : value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en"));

  // dash_ag_grid and the sliders find functions by name here; nothing is compiled from text of the study
  window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions ?? {}, {
    amount,
    percent,
    seconds,
    lassoPresent: () => memory.lasso !== null,
    lassoed: (params) => memory.lasso === null || memory.lasso.has(params.data.number),
    missingLast: (first, second, rowOne, rowTwo, isDescending) => {
      if (first === null || second === null) return (first === second ? 0 : first === null ? 1 : -1) * (isDescending ? -1 : 1);
      return first - second;
    },
    gridTheme: (theme) =>
      theme.withParams({
        backgroundColor: "var(--paper)",
        foregroundColor: "var(--ink)",
        headerBackgroundColor: "var(--card)",
        headerTextColor: "var(--ink)",
        borderColor: "var(--rule)",
        accentColor: "var(--link)",
        fontFamily: "inherit",
        fontSize: 14,
        spacing: 5,
      }),
  });
  window.dccFunctions = Object.assign(window.dccFunctions ?? {}, {
    percent: (value) => percent(value),
    amount: (value) => amount(value),
  });

  // ---------------------------------------------------------------------------------------------------------- charts

  const decoded = new WeakMap();
  function numbers(packed) {
    if (Array.isArray(packed)) return packed;
    if (!packed?.bdata) return [];
    if (!decoded.has(packed)) {
      const bytes = Uint8Array.from(atob(packed.bdata), (letter) => letter.charCodeAt(0));
      const kind = { f8: Float64Array, i4: Int32Array }[packed.dtype];
      decoded.set(packed, new kind(bytes.buffer));
    }
    return decoded.get(packed);
  }

  function hasWebgl() {
    if (memory.webgl === null) {
      const context = document.createElement("canvas").getContext("webgl");
      context?.getExtension("WEBGL_lose_context")?.loseContext(); // browsers keep few of them
      memory.webgl = Boolean(context);
    }
    return memory.webgl;
  }

  function find(scene, number) {
    for (const trace of scene.data) {
      if (!trace.customdata) continue;
      const place = numbers(trace.customdata).indexOf(number);
      if (place >= 0) return { trace, place };
    }
    return null;
  }

  function ring(scene, number, symbol, word) {
    const found = find(scene, number);
    if (!found) return [];
    const at = Object.fromEntries(["x", "y", "z"].filter((axis) => axis in found.trace).map((axis) => [axis, [numbers(found.trace[axis])[found.place]]]));
    const marker = { symbol, size: found.trace.type === "scatter3d" ? 14 : 22, line: { width: 3 } };
    const type = found.trace.type === "scatter3d" ? "scatter3d" : hasWebgl() ? "scattergl" : "scatter"; // over the points
    return [{ type, mode: "markers", ...at, marker, meta: "selected", name: `${word}: trial ${number}`, hoverinfo: "skip" }];
  }

  // Plotly's own type for 3D has fewer symbols.
  const SIMPLE = { star: "diamond", "x-thin": "x" };
  function adapted(plain) {
    // Dash's charts tell of a clicked point what stands in a list; of a packed one they tell nothing
    const trace = plain.customdata ? { ...plain, customdata: Array.from(numbers(plain.customdata)) } : plain;
    if (trace.type === "scatter3d") {
      const symbol = SIMPLE[trace.marker?.symbol] ?? trace.marker?.symbol;
      const line = { width: symbol?.endsWith("-open") ? 2 : 0 };
      return { ...trace, marker: { ...trace.marker, symbol, size: Math.max(2.5, (trace.marker?.size ?? 6) / 2.6), line } };
    }
    return trace.type === "scattergl" && !hasWebgl() ? { ...trace, type: "scatter" } : trace;
  }

  // In the address numbers of one thing are parted by "~".
  const written = (values) => values.map((value) => Number(value.toPrecision(6))).join("~");
  function read(text, count) {
    const found = text?.split("~").map(Number);
    return found?.length === count && found.every(Number.isFinite) ? found : null;
  }
  const CAMERA = ["eye", "center", "up"];
  const spots = (camera) => written(CAMERA.flatMap((name) => ["x", "y", "z"].map((axis) => camera[name][axis])));

  // Whether a scene is of these quantities and this rung; those that are undefined may be any.
  function isOf(scene, study, x, y, z, rung) {
    const pairs = [[study, scene.at.study], [x, scene.of.x], [y, scene.of.y], [z, scene.of.z], [rung, scene.at.rung]];
    return pairs.every(([wanted, found]) => wanted === undefined || String(wanted) === String(found));
  }
  const askedFor = (asked, scene) => isOf(scene, asked?.study ?? "", asked?.x, asked?.y, asked?.z, asked?.rung);

  function lookAt(layout, asked) {
    for (const [name, text] of [["xaxis", asked.xr], ["yaxis", asked.yr]]) {
      const range = read(text, 2);
      if (range && layout[name]) Object.assign(layout[name], { range, autorange: false });
    }
    const from = read(asked.camera, 9);
    if (from && layout.scene) layout.scene.camera = Object.fromEntries(CAMERA.map((name, at) => [name, { x: from[3 * at], y: from[3 * at + 1], z: from[3 * at + 2] }]));
  }

  // What the reader does is carried over to the next figure: plotly itself keeps it for one only. That an axis is
  // not fitted to its points is told by what plotly has made of the layout, as a layout need not say it.
  function keep(id, { data, layout }) {
    const chart = plot(id);
    const live = chart?.layout;
    if (!live || live.uirevision !== layout.uirevision) return;
    const called = (trace) => trace.uid ?? trace.name;
    const left = new Set(chart.data.filter((trace) => trace.visible === "legendonly").map(called));
    for (const trace of data) if (left.has(called(trace))) trace.visible = "legendonly";
    for (const name of Object.keys(layout).filter((each) => /^[xy]axis/.test(each))) {
      const axis = chart._fullLayout[name];
      if (axis && !axis.autorange) Object.assign(layout[name], { range: [...axis.range], autorange: false });
    }
    if (layout.scene && live.scene?.camera) layout.scene.camera = live.scene.camera;
    for (const name of ["dragmode", "selections"]) if (live[name]) layout[name] = live[name];
  }

  async function paint(scene, selected, beside, theme, asked) {
    if (!scene) return unchanged();
    await loaded("plotly");
    byId("no-webgl").hidden = hasWebgl();
    if (memory.scene && memory.scene.at.generation !== scene.at.generation) {
      Object.assign(memory, { lasso: null, walked: null, tab: null, grid: null }); // of another study
      props("clear", { hidden: true });
      props("arranged", { data: {} });
      props("rows-told", { children: "" });
    }
    // the ranges of the address are of what it opened with, and of nothing that is chosen later
    if (memory.scene?.layout.uirevision !== scene.layout.uirevision) memory.zoomed = memory.scene !== null || !askedFor(asked, scene);
    memory.scene = scene;
    memory.walked = selected ?? null;
    table()?.then(mark);
    const rings = [...ring(scene, selected, "circle-open", "selected"), ...ring(scene, Number(beside ?? NaN), "square-open", "compared")];
    const whole = { data: [...scene.data.map(adapted), ...rings], layout: scene.layout };
    const [data, layout] = window.nasCharts.coloured(whole, byId("chart"));
    keep("chart", { data, layout });
    if (!memory.zoomed) lookAt(layout, asked);
    return put("chart", { data, layout });
  }

  // A chart that is there is told its next figure: another in its place would forget what the reader does.
  function put(id, figure) {
    const there = byId(id) && !memory.removed.has(id);
    memory.removed.delete(id);
    if (!there) return chart(figure, id);
    props(id, { figure });
    return unchanged();
  }

  // The large scripts: plotly's is asked for by the head of the page, the table's only once the chart is drawn.
  const scripts = {};
  function loaded(name) {
    scripts[name] ??= new Promise((resolve) => {
      const script = byId(`script-${name}`);
      if (name === "plotly" && window.Plotly) return resolve();
      for (const event of ["load", "error"]) script.addEventListener(event, resolve); // Dash tells what is missing
      if (script.dataset.src) script.src = script.dataset.src;
    });
    return scripts[name];
  }

  // Tells where the chart stands, when it does: what comes after it waits.
  async function at(scene) {
    if (!scene) return unchanged();
    while (!plot("chart")?._fullData) await new Promise((resolve) => setTimeout(resolve, 20));
    followed(plot("chart"));
    await loaded("grid");
    return scene.at;
  }

  // The address waits for the chart: until this shows what is chosen, its ranges are of something else.
  function followed(chart) {
    const tell = () => {
      lassoAgain(chart);
      if (memory.painted === chart.layout.uirevision) return;
      memory.painted = chart.layout.uirevision;
      props("painted", { data: memory.painted });
    };
    if (memory.chart !== chart) chart.on("plotly_afterplot", tell);
    memory.chart = chart;
    tell();
  }

  // Charts are made when there is something to show: an empty one first would cost the time of another.
  function chart(figure, id) {
    return { namespace: "dash_core_components", type: "Graph", props: { id, figure, config: window.nasCharts.config } };
  }

  async function drawn(id, figure, of) {
    if (!figure) {
      memory.removed.add(id); // it may stand a moment longer
      return null;
    }
    await loaded("plotly");
    const [data, layout] = window.nasCharts.coloured({ ...figure, layout: { ...figure.layout, uirevision: of } }, null);
    keep(id, { data, layout });
    return put(id, { data, layout });
  }
  const course = (figure, theme, at, number, beside) => drawn("curve", figure, [at?.study, at?.generation, number, beside].join("/"));
  const statistic = (figure, theme, stamp) => drawn("statistic", figure, stamp?.replace(/[^/]*$/, "")); // of any revision

  // ------------------------------------------------------------------------------------------------------- selection

  // A slider that was not moved stands where what is wanted puts it (`sliders` in Python); at its loose end it limits nothing.
  function want(values, ids, low, high, wanted) {
    const found = { ...wanted };
    ids.forEach(({ limit: name, end }, place) => {
      const [value, loose] = [values[place], (end === "high" ? high : low)[place]];
      const put = Math.min(high[place], Math.max(low[place], found[name] ?? loose));
      if (value === null || value === put) return;
      if (value === loose) delete found[name];
      else found[name] = value;
    });
    const same = JSON.stringify(found) === JSON.stringify(wanted ?? {});
    return same ? unchanged() : found;
  }

  // A limit without a slider is lifted by its button; what is told of it goes with it.
  function lift(clicks, ids, wanted) {
    const lifted = ids.filter((_, place) => clicks[place]).map((id) => id.lift);
    if (!lifted.length) return [unchanged(), ids.map(unchanged)];
    const found = Object.fromEntries(Object.entries(wanted ?? {}).filter(([name]) => !lifted.includes(name)));
    return [found, ids.map((id) => lifted.includes(id.lift))];
  }

  const limit = (value, tooltip) => (tooltip?.transform === "percent" ? percent(value) : amount(value));
  const moved = (data) => (data ? { ...data } : unchanged());
  const whole = (number) => (Number.isInteger(number) ? number : unchanged());
  const clicked = (data) => whole(data?.points?.[0]?.customdata);

  const table = () => memory.grid && window.dash_ag_grid?.getApiAsync(memory.grid);

  function filter(numbers, there = numbers.length > 0) {
    memory.lasso = there ? new Set(numbers) : null;
    table()?.then((api) => api.onFilterChanged());
    return [memory.lasso === null, memory.lasso ? `The table shows the ${memory.lasso.size} trials within the lasso.` : ""];
  }

  // The table shows what is selected, wherever that was done; it selects where the reader did it there.
  function mark(api) {
    const row = api.getRowNode(String(memory.walked));
    if (row) row.setSelected(true, true);
    else if (api.getSelectedRows().length) api.deselectAll();
  }

  function chosen({ api, source }) {
    const row = ["rowClicked", "spaceKey"].includes(source) && api.getSelectedRows()[0];
    if (row) props("selected", { data: row.number });
  }

  const lasso = (selection) => filter((selection?.points ?? []).map((point) => point.customdata).filter(Number.isInteger));

  // Plotly finds anew what is within the lasso whenever points have come: the table follows.
  function lassoAgain({ data, layout }) {
    if (!memory.lasso || !layout.selections?.length) return;
    const within = new Set(data.flatMap((each) => (each.customdata ? (each.selectedpoints ?? []).map((place) => each.customdata[place]) : [])));
    if (within.size === memory.lasso.size && [...within].every((number) => memory.lasso.has(number))) return;
    const [, told] = filter([...within], true);
    props("rows-told", { children: told });
  }

  function cleared() {
    const live = plot("chart");
    window.Plotly.restyle(live, { selectedpoints: [null] }).then(() => window.Plotly.relayout(live, { selections: [] }));
    return filter([]);
  }

  // Rows come by fields: what stands in each of them for all trials.
  function together({ fields, data, texts }) {
    return (data[0] ?? []).map((_, place) => {
      const row = Object.fromEntries(fields.map((field, at) => [field, texts[field] ? texts[field][data[at][place]] : data[at][place]]));
      return { id: String(row.number), ...row };
    });
  }

  // How the reader sorts and filters the table, as it stands in the address.
  const FIRST = "number:desc";
  function arrangement(api) {
    const sorted = api.getColumnState().filter((each) => each.sort).sort((one, other) => one.sortIndex - other.sortIndex);
    const sort = sorted.map((each) => `${each.colId}:${each.sort}`).join(",");
    const filter = api.getFilterModel();
    return { sort: sort === FIRST ? undefined : sort, filter: Object.keys(filter).length ? JSON.stringify(filter) : undefined };
  }

  function arrange(api, { sort, filter }) {
    const columns = new Set(api.getColumns().map((column) => column.getColId()));
    const wanted = (sort ?? FIRST).split(",").map((each, sortIndex) => {
      const at = each.lastIndexOf(":");
      return { colId: each.slice(0, at), sort: each.slice(at + 1) === "desc" ? "desc" : "asc", sortIndex };
    });
    api.applyColumnState({ state: sort === "" ? [] : wanted.filter((each) => columns.has(each.colId)), defaultState: { sort: null } });
    try {
      const model = Object.entries(JSON.parse(filter ?? "{}")).filter(([name, each]) => columns.has(name) && typeof each?.filterType === "string");
      api.setFilterModel(Object.fromEntries(model));
    } catch {} // an address that was cut: the table is shown whole
  }

  function fill(told, asked) {
    memory.grid = { grid: told.generation };
    table().then((api) => {
      const first = memory.arranged !== told.generation;
      if (first) {
        memory.arranged = told.generation;
        if (asked?.study === memory.scene?.at.study) arrange(api, asked);
        api.addEventListener("selectionChanged", chosen);
        api.addEventListener("firstDataRendered", () => mark(api)); // before that, Dash's table cannot tell of it
        for (const event of ["sortChanged", "filterChanged"]) api.addEventListener(event, () => props("arranged", { data: arrangement(api) }));
      }
      const [known, fresh] = [[], []];
      for (const row of together(told)) (api.getRowNode(row.id) ? known : fresh).push(row);
      api.applyTransaction({ update: known, add: fresh });
      if (!first) mark(api);
    });
    return unchanged();
  }

  function pin(clicks, selected, options) {
    if (!clicks || selected === null) return [unchanged(), unchanged()];
    const value = String(selected);
    const there = (options ?? []).some((option) => option.value === value);
    return [value, there ? unchanged() : [{ label: `trial ${selected}`, value }, ...(options ?? [])]];
  }

  function show(tab, selected) {
    if (tab !== "trials" && memory.tab !== tab) {
      memory.tab = tab; // what is shown until the answer comes is of another tab
      props("figure", { data: null });
      props("figure-told", { children: "" });
      props("figure-table", { children: null });
      props("figure-at", { data: null }); // or the tab that was left would count as shown when the reader comes back
    }
    return [tab !== "trials", tab === "trials", selected === null || selected === undefined];
  }

  // A tab whose figure was at rest, or being found for another reader, is asked for again: no revision may follow.
  function overdue(tick, tab, at, known, idle) {
    const current = tab === "trials" || !at || known?.endsWith(`/${at.generation}/${at.revision}`);
    return current || !idle ? unchanged() : tick;
  }

  // ------------------------------------------------------------------------------------------------------ the address

  function ranges(query, layout) {
    if (layout.scene?.camera) query.set("camera", spots(layout.scene.camera));
    for (const [name, axis] of [["xr", layout.xaxis], ["yr", layout.yaxis]]) {
      if (axis && !axis.autorange) query.set(name, written(axis.range));
    }
  }

  function address(study, x, y, z, rung, shown, beside, tab, wanted, selected, moved, arranged, painted, asked) {
    if (!study || !x) return unchanged();
    const query = new URLSearchParams({ study, x, y });
    if (z) query.set("z", z);
    if (rung !== null && rung !== -1) query.set("rung", rung);
    if (shown && shown.length < 4) query.set("shown", shown.join(","));
    for (const [name, value] of Object.entries(wanted ?? {})) query.set(`limit.${name}`, value);
    if (selected !== null && selected !== undefined) query.set("trial", selected);
    if (beside) query.set("beside", beside);
    if (tab && tab !== "trials") query.set("tab", tab);
    if (moved && !moved.autosize) memory.zoomed = true;
    const mine = asked?.study === study ? asked : {};
    const { scene } = memory;
    const same = !scene || isOf(scene, study, x, y, z ?? null, rung === -1 ? null : rung);
    if (same && !memory.zoomed) {
      for (const name of ["xr", "yr", "camera"]) if (mine[name]) query.set(name, mine[name]);
    } else if (same && plot("chart")?.layout.uirevision === scene?.layout.uirevision) ranges(query, plot("chart")._fullLayout);
    for (const name of ["sort", "filter"]) {
      const value = (arranged ?? mine)[name];
      if (value !== undefined) query.set(name, value);
    }
    const text = `?${query}`;
    window.history.replaceState(null, "", text);
    document.title = `${study} - inception-nas`;
    return text;
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    nas: { paint, course, statistic, at, clicked, want, lift, limit, moved, lasso, cleared, fill, pin, show, overdue, address },
  });

  // -------------------------------------------------------------------------------------- the keyboard, pictures, theme

  document.addEventListener("keydown", (event) => {
    if (event.target?.id !== "chart-frame" || !memory.scene?.front.length) return;
    const front = memory.scene.front;
    const place = front.indexOf(memory.walked ?? -1);
    const next = { ArrowRight: place + 1, ArrowLeft: place < 0 ? 0 : place - 1, Home: 0, End: front.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    memory.walked = front[Math.max(0, Math.min(front.length - 1, next))];
    props("selected", { data: memory.walked });
  });

  document.addEventListener("click", (event) => {
    const kind = { "save-png": "png", "save-svg": "svg" }[event.target?.id];
    const chart = kind && plot("chart");
    if (!chart) return;
    // points of WebGL would be a picture within an SVG: drawn anew they are shapes
    const data = chart.data.map((trace) => (trace.type === "scattergl" ? { ...trace, type: "scatter" } : trace));
    const ranges = ["xaxis", "yaxis"].filter((name) => chart._fullLayout[name]).map((name) => [name, { ...chart.layout[name], range: chart._fullLayout[name].range }]);
    const paper = window.nasCharts.colour("paper");
    const layout = { ...chart.layout, ...Object.fromEntries(ranges), paper_bgcolor: paper, plot_bgcolor: paper };
    window.Plotly.downloadImage({ data, layout }, { format: kind, width: 1200, height: 800, scale: kind === "png" ? 2 : 1, filename: `${memory.scene.at.study.replace(/[^\w.-]+/g, "-").slice(0, 40)}-front` });
  });

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => props("theme", { data: dark.matches ? "dark" : "light" }));
})();
