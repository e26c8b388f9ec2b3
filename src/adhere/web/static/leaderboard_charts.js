// The leaderboard's two charts: a map of levels (models × benchmarks) and a radar for a handful of models.

const SERIES = 6; // models that a radar can still tell apart
const DASHES = ["", "7 4", "2 3", "10 3 2 3", "5 2", "1 4"];

/** Levels as a grid of cells: darker is better. Where a level means nothing, the cell says its figure without a tint. */
function levelMap(board) {
  const width = board.columns.length;
  const grid = h("div", { class: "levels", role: "table", "aria-label": "Levels by model and benchmark" });
  grid.style.gridTemplateColumns = `minmax(6rem, 14rem) repeat(${width}, minmax(4.2rem, 1fr))`;
  grid.append(h("span", { class: "head" }), ...board.columns.map((c) => h("span", { class: "head" }, c.benchmark)));
  board.models.forEach((model, i) => {
    grid.append(h("span", { class: "name" }, model));
    board.columns.forEach((column, j) => grid.append(levelCell(board.cells[i][j], column, model)));
  });
  return grid;
}

function levelCell(cell, column, model) {
  if (!cell || !isNumber(cell.value)) {
    return h("span", { class: "level missing", "data-tip": `${model} on ${column.benchmark}: ${cell ? "not determined" : "not run"}` }, "–");
  }
  const made = h("span", { class: `level${cell.best ? " best" : ""}`, "data-tip": cellTip(cell, column, model) }, figureText(cell.value, column.unit));
  if (isNumber(cell.level)) tint(made, cell.level);
  return made;
}

/** A tint of the accent between the page's ground and its full strength; the text stays readable on it. */
function tint(element, level) {
  element.style.background = `color-mix(in srgb, var(--accent) ${Math.round(8 + 84 * level)}%, var(--surface))`;
  element.style.color = level > 0.72 ? "var(--surface)" : "var(--ink)";
}

function rampLegend() {
  const bar = h("i", {});
  bar.style.background = "linear-gradient(90deg, color-mix(in srgb, var(--accent) 8%, var(--surface)), color-mix(in srgb, var(--accent) 92%, var(--surface)))";
  return h("span", { class: "ramp" }, "worst", bar, "best");
}

/**
 * Polygons over axes of shares; a missing cell leaves a gap.
 * @param board the payload; only columns in shares have an axis, since other units have no common scale.
 */
function radarChart(board) {
  const axes = board.columns.map((column, j) => ({ column, j })).filter(({ column }) => column.unit === "share");
  if (axes.length < 3) return h("p", { class: "empty" }, "A radar needs at least three benchmarks whose headline is a share.");
  const shown = board.models.slice(0, SERIES);
  const [width, height, radius] = [620, 430, 180]; // room for names on both sides
  const [middle, centre] = [width / 2, height / 2];
  const place = (n, r) => {
    const angle = (2 * Math.PI * n) / axes.length - Math.PI / 2;
    return [middle + radius * r * Math.cos(angle), centre + radius * r * Math.sin(angle)];
  };
  const chart = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Radar of ${shown.length} models on ${axes.length} benchmarks; the table holds the same figures` });
  for (const r of [0.25, 0.5, 0.75, 1]) {
    chart.append(s("polygon", { class: "ring-line", points: axes.map((_, n) => place(n, r).join(",")).join(" ") }));
    const [x, y] = place(0, r);
    chart.append(s("text", { x: x + 4, y: y + 13 }, `${100 * r}%`));
  }
  axes.forEach(({ column }, n) => {
    const [x, y] = place(n, 1);
    chart.append(s("line", { x1: middle, y1: centre, x2: x, y2: y, class: "spoke" }), axisLabel(column, place(n, 1.08), middle));
  });
  const groups = shown.map((model, i) => {
    const group = s("g", { class: "model" }, seriesOf(board.cells[i], axes, place, i, model));
    chart.append(group);
    return group;
  });
  return h("div", { class: "radar" }, chart, radarLegend(board, shown, groups));
}

function axisLabel(column, [x, y], middle) {
  const anchor = Math.abs(x - middle) < 12 ? "middle" : x > middle ? "start" : "end";
  const name = column.benchmark.length > 20 ? `${column.benchmark.slice(0, 19)}…` : column.benchmark;
  const label = s("text", { x, y: y + 4, class: "axis", "text-anchor": anchor, "data-tip": `${column.benchmark}\n${column.label}` }, name);
  if (column.better === "lower") label.append(s("tspan", { x, dy: "1.2em" }, "(reversed)"));
  return label;
}

/** A closed polygon where every cell is there; else lines between neighbours that are, and dots. */
function seriesOf(cells, axes, place, i, model) {
  const levels = axes.map(({ j }) => (cells[j] && isNumber(cells[j].level) ? cells[j].level : null));
  const style = { class: `series series-${i}`, "stroke-dasharray": DASHES[i] || null };
  const points = levels.map((level, n) => (level === null ? null : place(n, level)));
  const parts = [];
  if (!levels.includes(null)) parts.push(s("polygon", { ...style, points: points.map((p) => p.join(",")).join(" ") }));
  else {
    points.forEach((p, n) => {
      const next = points[(n + 1) % points.length];
      if (p && next) parts.push(s("line", { ...style, x1: p[0], y1: p[1], x2: next[0], y2: next[1] }));
    });
  }
  points.forEach((p, n) => {
    if (p) parts.push(s("circle", { cx: p[0], cy: p[1], r: 3.5, class: `series-${i}`, "data-tip": cellTip(cells[axes[n].j], axes[n].column, model) }));
  });
  return parts;
}

/** Names beside their lines; choosing one fades the others. */
function radarLegend(board, shown, groups) {
  let picked = -1;
  const buttons = shown.map((model, i) => h("button", {
    type: "button", "aria-pressed": "false",
    onclick: () => {
      picked = picked === i ? -1 : i;
      groups.forEach((g, n) => g.classList.toggle("faded", picked >= 0 && n !== picked));
      buttons.forEach((b, n) => b.setAttribute("aria-pressed", String(n === picked)));
    },
  }, s("svg", { viewBox: "0 0 34 12", "aria-hidden": "true" },
    s("line", { x1: 1, x2: 33, y1: 6, y2: 6, class: `series series-${i}`, "stroke-dasharray": DASHES[i] || null }),
    s("circle", { cx: 17, cy: 6, r: 3.5, class: `series-${i}` })), h("span", {}, model)));
  const more = board.models.length - shown.length;
  return h("div", {}, h("ul", {}, buttons.map((b) => h("li", {}, b))),
    more > 0 && h("p", { class: "gap-note" }, `${plural(more, "further model")} in the table and the map.`));
}
