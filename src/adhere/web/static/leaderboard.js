// The leaderboard from top to bottom: table, map, radar, and each leader against the others.

main();

async function main() {
  const page = document.getElementById("page");
  const notice = document.getElementById("notice");
  if (!("DecompressionStream" in window)) {
    notice.textContent = "This browser is too old to unpack the page (it lacks DecompressionStream). Any browser of 2023 or later opens it.";
    return;
  }
  try {
    const board = await readPayload();
    tip.attach();
    page.replaceChildren(...boardPage(board));
  } catch (error) {
    notice.textContent = `The leaderboard could not be drawn: ${error.message}. The file may be incomplete.`;
    throw error;
  }
}

function boardPage(board) {
  const sections = ["Table", "Map", "Radar", "Leads"];
  return [
    h("header", { class: "masthead" },
      h("div", { class: "masthead-inner" },
        h("p", { class: "brand" }, "Adhere", h("span", {}, "leaderboard")),
        h("h1", {}, plural(board.models.length, "model"), h("small", {}, "on ", plural(board.columns.length, "benchmark"))),
        h("ul", { class: "facts" }, boardFacts(board).map((fact) => h("li", {}, fact)))),
      h("nav", { "aria-label": "Sections" }, sections.map((name) => h("a", { href: `#${name.toLowerCase()}` }, name)))),
    h("main", {}, tableSection(board), chartSection("map", "Levels", mapLegend(board), levelMap(board)),
      chartSection("radar", "Radar", radarNote(board), radarChart(board)), leadsSection(board)),
    h("footer", {}, "Failed rows and undecided grades count as not passed in shares and stay in every denominator. Intervals are 95%, clustered by prompt. ",
      "A model is the best of a column only where it beats every other model of it in a paired comparison, after Holm's correction over the columns."),
  ];
}

function boardFacts(board) {
  const missing = board.cells.flat().filter((cell) => !cell).length;
  const best = board.columns.filter((c) => c.best).length;
  const compared = board.columns.filter((c) => c.comparisons.length).length;
  return [
    compared > 0 && `${best} of ${plural(compared, "column")} with a clear best`,
    missing > 0 && `${plural(missing, "cell")} not run`,
    board.fakes.length > 0 && `fake: ${board.fakes.join(", ")}`,
  ].filter(Boolean);
}

/** The table; a click on a benchmark sorts by it, best first, and again worst first. */
function tableSection(board) {
  const body = h("tbody", {});
  const state = { by: null, up: false };
  const heads = board.columns.map((column, j) => boardHead(column, () => sort(j)));
  const first = h("th", { scope: "col" }, h("button", { type: "button", onclick: () => sort(null) }, "Model"));
  const sort = (by) => {
    state.up = state.by === by && by !== null && !state.up;
    state.by = by;
    draw();
  };
  const draw = () => {
    heads.forEach((head, j) => markSorted(head, state.by === j ? (state.up ? "ascending" : "descending") : null));
    body.replaceChildren(...orderOf(board, state).map((i) => boardRow(board, i)));
  };
  draw();
  const notes = board.columns.flatMap((c) => c.notes.map((note) => `${c.benchmark}: ${note}`));
  return h("section", { id: "table" }, h("h2", {}, "Headline of each benchmark"),
    notes.length > 0 && h("div", { class: "card warning" }, icon("error"), h("div", {}, h("b", {}, "Mind, before you compare: "), notes.join("; "))),
    h("div", { class: "card scroll" }, h("table", { class: "board" }, h("thead", {}, h("tr", {}, first, heads)), body)),
    h("p", { class: "gap-note" }, "In order of their mean rank; under each figure its 95% interval. ", h("span", { class: "sign-best" }, "★"), " the best by more than noise. – not run."));
}

function boardHead(column, onclick) {
  const unit = column.unit === "share" ? "" : column.unit && `, ${column.unit}`;
  return h("th", { scope: "col" }, h("button", { type: "button", onclick }, column.benchmark),
    h("small", {}, column.label, unit, column.better === "lower" && " (lower is better)"));
}

function markSorted(head, direction) {
  head.toggleAttribute("aria-sort", Boolean(direction));
  if (direction) head.setAttribute("aria-sort", direction);
  const button = head.querySelector("button");
  button.querySelector(".icon")?.remove();
  if (direction) button.append(icon(direction === "ascending" ? "up" : "down"));
}

/** Row numbers: as given, or by the levels' column; what was not run comes last either way. */
function orderOf(board, { by, up }) {
  const rows = board.models.map((_, i) => i);
  if (by === null) return rows;
  const better = board.columns[by].better === "lower" ? -1 : 1;
  const value = (i) => (isNumber(board.cells[i][by]?.value) ? better * board.cells[i][by].value : null);
  return rows.sort((x, y) => {
    const [a, b] = [value(x), value(y)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return up ? a - b : b - a;
  });
}

function boardRow(board, i) {
  const fake = board.fakes.includes(board.models[i]);
  return h("tr", {}, h("th", { scope: "row" }, board.models[i], fake && h("span", { class: "note warn model-note" }, "fake")),
    board.columns.map((column, j) => boardCell(board.cells[i][j], column, board.models[i])));
}

function boardCell(cell, column, model) {
  if (!cell) return h("td", { class: "missing", "data-tip": `${model} on ${column.benchmark}: not run` }, h("span", { "aria-label": "not run" }, "–"));
  return h("td", { class: cell.best ? "best" : null, "data-tip": cellTip(cell, column, model) },
    cell.best && h("span", { class: "sign-best", role: "img", "aria-label": "best by more than noise" }, "★"),
    h("strong", {}, figureText(cell.value, column.unit)),
    h("small", {}, isNumber(cell.low) ? bare(cell, column.unit) : "no interval", cell.undecided > 0 && ` · ${count(cell.undecided)} undecided`, cell.failed > 0 && ` · ${count(cell.failed)} failed`));
}

/** "27.4 – 35.2", without the unit. */
const bare = (cell, unit) => (unit === "share" ? interval(cell) : rangeText(cell, unit).replace(" to ", " – "));

function cellTip(cell, column, model) {
  return `${model} on ${column.benchmark}: ${figureText(cell.value, column.unit)}\n${column.label}, 95% interval ${bare(cell, column.unit)}\nn = ${count(cell.n)}` +
    (cell.undecided ? `, ${count(cell.undecided)} undecided` : "") + (cell.failed ? `, ${count(cell.failed)} failed` : "") + (cell.best ? "\nthe best by more than noise" : "");
}

function chartSection(id, title, note, chart) {
  return h("section", { id }, h("h2", {}, title), note, h("div", { class: "card" }, chart));
}

function mapLegend(board) {
  const others = board.columns.filter((c) => c.unit !== "share").map((c) => c.benchmark);
  return h("p", { class: "legend" }, rampLegend(),
    h("span", { class: "muted" }, "Shares from 0 to 100%; ", others.length > 0 && `${others.join(", ")}: from the worst to the best of the column; `,
      "a frame marks the best by more than noise."));
}

function radarNote(board) {
  const left = board.columns.filter((c) => c.unit !== "share").map((c) => c.benchmark);
  return h("p", { class: "legend" }, h("span", { class: "muted" }, "Outwards is better. ",
    left.length > 0 && `Without ${left.join(", ")}, whose units have no common scale. `, "Choose a model to see it alone."));
}

/** Each column's leader against the other models. */
function leadsSection(board) {
  const lines = board.columns.flatMap((column) => column.comparisons.map((line, n) => leadRow(column, line, n)));
  return h("section", { id: "leads" }, h("h2", {}, "Who leads, and by how much"),
    lines.length
      ? h("div", { class: "card scroll" }, h("table", { class: "duels" },
          h("thead", {}, h("tr", {}, ["Benchmark", "Leads", "Against", "By", "95% interval", "p", "n", ""].map((t) => h("th", { scope: "col", class: ["By", "95% interval", "p", "n"].includes(t) && "number" }, t)))),
          h("tbody", {}, lines)))
      : h("p", { class: "card empty" }, "Nothing to compare: every benchmark was run with one model."));
}

function leadRow(column, line, n) {
  const tone = column.best ? "gained" : "noise";
  const words = column.best ? `best: ${pPhrase(column.adjusted_p)} after Holm` : isNumber(column.adjusted_p) ? `no clear best: ${pPhrase(column.adjusted_p)} after Holm` : "not tested";
  const tested = isNumber(line.p_value);
  return h("tr", {}, h("th", { scope: "row" }, n === 0 && column.benchmark), h("td", {}, n === 0 && column.leader), h("td", {}, line.model),
    [changeText(line.difference, column.unit), tested ? `${changeText(line.low, column.unit)} to ${changeText(line.high, column.unit)}` : "–", pValue(line.p_value), count(line.n)]
      .map((t) => h("td", { class: "number" }, t)),
    h("td", { class: n === 0 ? tone : "noise" }, n === 0 ? words : "", !tested && ` ${line.verdict}`));
}
