// Answers × constraints on a canvas. Where there are more answers than pixels, a column stands for several.

const ROW = 18;

/**
 * The map with its labels.
 * @param data the named payload
 * @param options {by: "kind"|"family", sorted: boolean, onpick(item)}
 */
function heatmap(data, { by, sorted, onpick }) {
  const matrix = heatMatrix(data, by, sorted);
  const labels = h("div", { class: "heat-labels", "aria-hidden": "true" },
    matrix.names.map((name) => h("span", { "data-tip": name }, name)));
  const canvas = h("canvas", {
    tabindex: 0, role: "img",
    "aria-label": `Map of ${plural(matrix.items.length, "answer")} by ${by}. Arrow keys move, Enter opens the answer.`,
  });
  const map = h("div", { class: "heat" }, labels, h("div", { class: "heat-canvas" }, canvas));
  const view = { canvas, matrix, pairs: data.pairs, cursor: null, onpick };
  new ResizeObserver(() => drawHeat(view)).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawHeat(view));
  listenHeat(view);
  return map;
}

/** Rows (names by frequency), columns (items), and the value of each cell: 1 pass, 0 fail, null undecided. */
function heatMatrix(data, by, sorted) {
  const frequency = new Map();
  for (const item of data.items) {
    for (const v of item.rows[0].verdicts) if (v.unit === "share") frequency.set(v[by], (frequency.get(v[by]) || 0) + 1);
  }
  const names = [...frequency.keys()].sort((x, y) => frequency.get(y) - frequency.get(x) || (x < y ? -1 : 1));
  const line = new Map(names.map((name, i) => [name, i]));
  const cells = new Map(data.items.map((item) => [item, cellsOf(item, by, line, data.pairs)]));
  const items = data.items.filter((item) => cells.get(item).length);
  if (sorted) {
    const mean = (item) => cells.get(item).reduce((sum, c) => sum + (c.value ?? 0), 0) / cells.get(item).length;
    const means = new Map(items.map((item) => [item, mean(item)]));
    items.sort((x, y) => means.get(x) - means.get(y));
  }
  return { names, items, cells };
}

/** Of one item: [{line, value}]; with two runs the value is B minus A. */
function cellsOf(item, by, line, pairs) {
  const [first, second] = item.rows;
  return first.verdicts.flatMap((v, i) => {
    if (!line.has(v[by])) return [];
    if (!pairs) return { line: line.get(v[by]), value: v.level };
    return { line: line.get(v[by]), value: (second.verdicts[i]?.level ?? 0) - (v.level ?? 0) };
  });
}

function drawHeat(view) {
  const { canvas, matrix, pairs } = view;
  const width = Math.floor(canvas.parentElement.clientWidth);
  const n = matrix.items.length;
  if (!width || !n) return;
  const per = Math.max(1, Math.ceil((2 * n) / width)); // answers a column: columns are at least 2 px wide
  const columns = Math.ceil(n / per);
  const step = Math.min(width / columns, 28);
  Object.assign(view, { per, columns, step });
  const height = matrix.names.length * ROW;
  const dpr = devicePixelRatio || 1;
  canvas.width = width * dpr;
  canvas.height = height * dpr;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(dpr, dpr);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  pen.fillStyle = colour("--heat-empty");
  for (let row = 0; row < matrix.names.length; row++) pen.fillRect(0, row * ROW + 1, columns * step, ROW - 2);
  const shades = shadesOf(colour, pairs);
  const gap = step >= 5 ? 1 : 0;
  for (let column = 0; column < columns; column++) {
    const sums = columnSums(view, column);
    const x = column * step;
    sums.forEach(({ sum, decided }, row) => {
      const share = decided ? (pairs ? (sum / decided + 1) / 2 : sum / decided) : null;
      pen.fillStyle = share === null ? colour("--heat-undecided") : shades[Math.round(share * 10)];
      pen.fillRect(x, row * ROW + 1, step - gap + (gap ? 0 : 0.4), ROW - 2);
    });
  }
  if (view.cursor) {
    pen.strokeStyle = colour("--ink");
    pen.lineWidth = 2;
    pen.strokeRect(view.cursor.column * step - 1, view.cursor.row * ROW, Math.max(step, 4) + 1, ROW);
  }
}

function columnSums(view, column) {
  const sums = new Map();
  for (const item of columnItems(view, column)) {
    for (const { line, value } of view.matrix.cells.get(item)) {
      const cell = sums.get(line) || sums.set(line, { sum: 0, decided: 0 }).get(line);
      if (value !== null) {
        cell.sum += value;
        cell.decided += 1;
      }
    }
  }
  return sums;
}

const columnItems = (view, column) => view.matrix.items.slice(column * view.per, (column + 1) * view.per);

/** Eleven colours from all failed to all passed (or all lost to all gained), through a pale middle. */
function shadesOf(colour, pairs) {
  const ends = [colour("--fail-fill"), pairs ? colour("--heat-same") : colour("--heat-middle"), colour("--pass-fill")];
  return Array.from({ length: 11 }, (_, i) => {
    const [from, to, share] = i <= 5 ? [ends[0], ends[1], i / 5] : [ends[1], ends[2], (i - 5) / 5];
    return mix(from, to, share);
  });
}

/** Between two #rrggbb colours. */
function mix(from, to, share) {
  const parts = [1, 3, 5].map((i) => {
    const [a, b] = [from, to].map((c) => parseInt(c.slice(i, i + 2), 16));
    return Math.round(a + (b - a) * share);
  });
  return `rgb(${parts.join(",")})`;
}

function listenHeat(view) {
  const { canvas, matrix } = view;
  const find = (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / view.step);
    const row = Math.floor((event.clientY - box.top) / ROW);
    return column >= 0 && column < view.columns && row >= 0 && row < matrix.names.length ? { column, row } : null;
  };
  canvas.addEventListener("pointermove", (event) => {
    const cell = find(event);
    if (cell) tip.show(event.clientX, event.clientY, cellText(view, cell));
    else tip.hide();
  });
  canvas.addEventListener("pointerleave", () => tip.hide());
  canvas.addEventListener("click", (event) => pickCell(view, find(event)));
  canvas.addEventListener("blur", () => { view.cursor = null; drawHeat(view); tip.hide(); });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Enter" && view.cursor) pickCell(view, view.cursor);
    if (!move) return;
    event.preventDefault();
    const { column, row } = view.cursor || { column: 0, row: 0 };
    const clamp = (x, top) => Math.max(0, Math.min(top, x));
    view.cursor = { column: clamp(column + move[0], view.columns - 1), row: clamp(row + move[1], matrix.names.length - 1) };
    drawHeat(view);
    const box = canvas.getBoundingClientRect();
    tip.show(box.left + view.cursor.column * view.step, box.top + view.cursor.row * ROW, cellText(view, view.cursor));
  });
}

function cellText(view, { column, row }) {
  const items = columnItems(view, column);
  const name = view.matrix.names[row];
  const cell = columnSums(view, column).get(row);
  const who = items.length === 1 ? `${items[0].id}: ${items[0].prompt.slice(0, 140)}` : `${items.length} answers, ${items[0].id} to ${items.at(-1).id}`;
  if (!cell) return `${name}: not asked\n${who}`;
  if (view.pairs) return `${name}: ${cell.sum > 0 ? "gained" : cell.sum < 0 ? "lost" : "unchanged"}\n${who}`;
  const verdict = cell.decided ? `${cell.sum} of ${plural(cell.decided, "check")} passed` : "undecided or no answer";
  return `${name}: ${verdict}\n${who}`;
}

/** Open an answer of the cell: the first that did not pass, or the first that changed. */
function pickCell(view, cell) {
  if (!cell) return;
  const items = columnItems(view, cell.column);
  const value = (item) => view.matrix.cells.get(item).find((c) => c.line === cell.row)?.value;
  const asked = items.filter((item) => value(item) !== undefined);
  const telling = asked.find((item) => (view.pairs ? value(item) !== 0 : value(item) !== 1));
  view.onpick(telling || asked[0] || items[0]);
}
