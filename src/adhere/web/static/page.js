// The page from top to bottom.

const MEANING = {
  prompt_strict: "of answers satisfy every constraint of their prompt",
  prompt_loose: "of answers satisfy every constraint, read loosely",
  instruction_strict: "of constraints are satisfied",
  instruction_loose: "of constraints are satisfied, read loosely",
};

main();

async function main() {
  const page = document.getElementById("page");
  const notice = document.getElementById("notice");
  if (!("DecompressionStream" in window)) {
    notice.textContent = "This browser is too old to unpack the report (it lacks DecompressionStream). Any browser of 2023 or later opens it; the same figures stand in run.json beside it.";
    return;
  }
  try {
    const data = nameAll(await readPayload());
    tip.attach();
    page.replaceChildren(...(data.pairs ? comparisonPage(data) : runPage(data)));
  } catch (error) {
    notice.textContent = `The report could not be drawn: ${error.message}. The file may be incomplete.`;
    throw error;
  }
}

function runPage(data) {
  const [{ manifest, rows }] = data.runs;
  const answers = explorer(data);
  const parts = [
    masthead([manifest], `${modelName(manifest)}`, benchmarkName(manifest), ["Overview", ...(!data.own ? ["Constraints"] : hasGroups(manifest) ? ["Groups"] : []), "Map", "Answers", "Errors", "Settings"]),
    h("main", {},
      ...(data.own ? [figureOverview(data, manifest, answers), figureGroups(manifest)]
        : [overview(data, manifest, answers), groupSection(manifest, answers)]),
      mapSection(data, answers),
      answers.element,
      errorSection(rows, answers),
      settingsSection(data.runs)),
    footer(data.own),
  ];
  queueMicrotask(() => answers.openFromAddress());
  return parts;
}

function comparisonPage(data) {
  const [a, b] = data.runs.map((run) => run.manifest);
  const answers = explorer(data);
  const parts = [
    masthead([a, b], "A against B", benchmarkName(b), ["Overview", ...(data.own ? [] : ["Constraints"]), "Map", "Answers", "Settings"]),
    h("main", {},
      ...(data.own ? [figureDifferences(data, answers)] : [differences(data, answers), groupDifferences(data.comparison, answers)]),
      mapSection(data, answers),
      answers.element,
      settingsSection(data.runs)),
    footer(data.own),
  ];
  queueMicrotask(() => answers.openFromAddress());
  return parts;
}

const hasGroups = (manifest) => Object.keys(manifest.metrics || {}).some((key) => key.startsWith("by_"));
const modelName = (manifest) => manifest.strategy || manifest.model?.name || "a model";
const benchmarkName = (manifest) => manifest.benchmark?.name || "a benchmark";

function masthead(manifests, title, benchmark, sections) {
  const names = manifests.length > 1
    ? manifests.map((m, i) => h("span", { class: "contender" }, h("i", { class: "run" }, "AB"[i]), modelName(m)))
    : h("span", {}, title);
  return h("header", { class: "masthead" },
    h("div", { class: "masthead-inner" },
      h("p", { class: "brand" }, "Adhere", h("span", {}, manifests.length > 1 ? "comparison" : "report")),
      h("h1", {}, names, h("small", {}, "on ", benchmark)),
      h("ul", { class: "facts" }, facts(manifests).map((fact) => h("li", {}, fact)))),
    h("nav", { "aria-label": "Sections" }, sections.map((name) => h("a", { href: `#${name.toLowerCase()}` }, name))));
}

/** What a reader must know before the numbers; for two runs, what both share. */
function facts(manifests) {
  const lists = manifests.map((m) => {
    const { sampling = {}, settings = {}, model = {} } = m;
    return [
      isNumber(sampling.temperature) && (sampling.temperature === 0 ? "greedy" : `temperature ${sampling.temperature}`),
      isNumber(sampling.max_tokens) && `cap ${count(sampling.max_tokens)} tokens`,
      settings.samples > 1 && `${settings.samples} samples a prompt`,
      settings.dialect && !declaredOf(m) && `dialect ${settings.dialect}`,
      settings.judge && `judge ${settings.judge}`,
      settings.limit && `first ${count(settings.limit)} prompts`,
      [model.engine, model.quantization].filter(Boolean).join(" "),
    ].filter(Boolean);
  });
  return lists[0].filter((fact) => lists.every((list) => list.includes(fact)));
}

function overview(data, manifest, answers) {
  const metrics = manifest.metrics || {};
  const name = manifest.benchmark?.headline in MEANING ? manifest.benchmark.headline : "prompt_strict";
  const rate = metrics[name];
  const ungraded = data.runs[0].rows.filter((row) => !row.verdicts.length).length;
  const rows = data.headlines.map(([key, label]) => ({ label, rate: metrics[key] }));
  const hero = rate && rate.n
    ? h("div", { class: "hero" },
        h("p", { class: "figure", "data-metric": name }, percent(rate.value)),
        h("p", {}, MEANING[name]),
        h("p", { class: "muted" }, `95% interval ${interval(rate)} · n = ${count(rate.n)}${rate.clusters !== rate.n ? ` from ${count(rate.clusters)} prompts` : ""}`),
        ungraded > 0 && h("p", { class: "muted" }, `${plural(ungraded, "further answer")} had no constraint to check.`))
    : h("div", { class: "hero" }, h("p", { class: "figure" }, "–"), h("p", { class: "muted" }, "Nothing was graded: these prompts carry no constraints."));
  return h("section", { id: "overview" }, h("h2", { class: "quiet" }, "Overview"),
    h("div", { class: "card overview" }, hero, rateChart(rows, "Headline accuracies", "rate")),
    tiles(data, manifest, answers));
}

function tiles(data, manifest, answers) {
  const c = manifest.counts || {};
  const share = manifest.cut_share;
  const tile = (value, label, tone, status) => h(status ? "button" : "div",
    { class: `tile ${tone || ""}`, type: status && "button", onclick: status && (() => answers.filter({ status, family: "", kind: "", query: "" })) },
    h("strong", {}, value), h("span", {}, label));
  return h("div", { class: "tiles" },
    tile(count(c.prompts), c.prompts === 1 ? "prompt" : "prompts"),
    c.answers !== c.prompts && tile(count(c.answers), "answers"),
    tile(count(c.constraints), data.own ? "figures found" : "constraints checked"),
    tile(percent(share), "of answers cut at the cap", share > 0.05 ? "warn" : "", share > 0 && "cut"),
    tile(count(c.failed), c.failed === 1 ? "row failed" : "rows failed", c.failed ? "bad" : "", c.failed > 0 && "error"),
    c.undecided > 0 && tile(count(c.undecided), data.own ? "grades undecided" : "verdicts undecided", "warn", "undecided"),
    c.completion_tokens > 0 && tile(count(c.completion_tokens), "tokens written"));
}

/** Buttons of which one is pressed. */
function segmented(label, options, current, onpick) {
  const buttons = options.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === current),
    onclick: (event) => {
      buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === event.currentTarget)));
      onpick(value);
    },
  }, text));
  return h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
}

/** A section whose drawing depends on a few switches. */
function switched(id, title, switches, draw, note) {
  const state = Object.fromEntries(switches.map(([name, , options]) => [name, options[0][0]]));
  const body = h("div", { class: "card" });
  const redraw = () => body.replaceChildren(draw(state));
  const controls = switches.map(([name, label, options]) => segmented(label, options, state[name], (value) => {
    state[name] = value;
    redraw();
  }));
  redraw();
  return h("section", { id }, h("div", { class: "section-head" }, h("h2", {}, title), h("div", { class: "controls" }, controls)),
    note, body);
}

const BY = ["by", "Group", [["family", "Families"], ["kind", "Constraints"]]];

function groupSection(manifest, answers) {
  const metrics = manifest.metrics || {};
  const legend = h("p", { class: "legend" },
    h("span", { class: "key bar" }), "strict, with its 95% interval", h("span", { class: "key ring" }), "loose",
    h("span", { class: "muted" }, "Choose a line to read its answers."));
  return switched("constraints", "Which constraints hold", [BY, ["order", "Order", [["rate", "Weakest first"], ["n", "Most frequent first"]]]], ({ by, order }) => {
    const groups = Object.entries(metrics[`by_${by}`] || {});
    if (!groups.length) return h("p", { class: "empty" }, "No constraints were checked.");
    const key = (rates) => (order === "n" ? -rates.strict.n : rates.strict.value ?? 2);
    groups.sort(([x, p], [y, q]) => key(p) - key(q) || (x < y ? -1 : 1));
    return rateChart(groups.map(([name, { strict, loose }]) => ({
      label: name, rate: strict, loose,
      onclick: () => answers.filter({ family: "", kind: "", query: "", status: strict.value < 1 ? "failed" : "all", [by]: name }),
    })), `Accuracy by ${by}`);
  }, legend);
}

function mapSection(data, answers) {
  const key = (name, text) => [h("span", { class: `key ${name}` }), text];
  const legend = h("p", { class: "legend" },
    data.pairs ? [key("gain", "gained"), key("loss", "lost"), key("same", "unchanged")]
      : [key("gain", "passes"), key("loss", "fails"), key("blank", "not asked"), key("undecided", "undecided")],
    h("span", { class: "muted" }, "One column an answer; where there are more answers than fit, a column mixes several."));
  return switched("map", data.pairs ? "Where it changed" : data.own ? "Answers × figures" : "Answers × constraints",
    [data.own ? ["by", "Group", [["kind", "Figures"]]] : BY, ["order", "Order", [["given", "As given"], ["sorted", data.pairs ? "Lost first" : "Weakest first"]]]],
    ({ by, order }) => (data.items.some((item) => item.rows[0].verdicts.length)
      ? heatmap(data, { by, sorted: order === "sorted", onpick: (item) => answers.open(item) })
      : h("p", { class: "empty" }, "No constraints were checked.")), legend);
}

function errorSection(rows, answers) {
  const groups = new Map();
  for (const row of rows.filter((r) => r.error)) {
    const key = JSON.stringify(row.error);
    (groups.get(key) || groups.set(key, []).get(key)).push(row);
  }
  const sorted = [...groups].sort((x, y) => y[1].length - x[1].length);
  const lines = sorted.slice(0, 50).map(([key, failed]) => {
    const [boundary, kind, message] = JSON.parse(key);
    return h("tr", {}, h("td", {}, boundary), h("td", {}, kind), h("td", { class: "text" }, message.slice(0, 400)),
      h("td", { class: "number" }, count(failed.length)),
      h("td", {}, h("button", { type: "button", class: "link", onclick: () => answers.filter({ status: "error", family: "", kind: "", query: "" }) },
        failed.slice(0, 3).map((r) => r.id).join(", "), failed.length > 3 && " …")));
  });
  return h("section", { id: "errors" }, h("h2", {}, "Errors"),
    lines.length
      ? h("div", { class: "card scroll" }, h("table", {},
          h("thead", {}, h("tr", {}, ["At the", "Error", "Message", "Rows", "Which"].map((t) => h("th", { scope: "col", class: t === "Rows" && "number" }, t)))),
          h("tbody", {}, lines)),
          sorted.length > 50 && h("p", { class: "muted" }, `${count(sorted.length - 50)} further kinds of error are in rows.parquet.`))
      : h("p", { class: "card empty good" }, icon("pass"), "No row failed."));
}

function differences(data, answers) {
  const { metrics, warnings, only_a: onlyA, only_b: onlyB } = data.comparison;
  const [a, b] = data.runs.map((run) => run.manifest.metrics || {});
  const headlines = data.headlines.filter(([key]) => metrics[key]);
  const name = "prompt_strict";
  const [words, tone] = verdictOn(metrics[name]);
  const notes = [...warnings];
  if (onlyA.length) notes.push(`${plural(onlyA.length, "prompt")} only in A, left out`);
  if (onlyB.length) notes.push(`${plural(onlyB.length, "prompt")} only in B, left out`);
  const rows = headlines.map(([key, label]) => ({ label, found: metrics[key] }));
  const line = ([key, label]) => h("tr", {}, h("th", { scope: "row" }, label),
    [percent(a[key]?.value), percent(b[key]?.value), points(metrics[key].difference),
      `${points(metrics[key].low)} to ${points(metrics[key].high)}`, pValue(metrics[key].p_value)].map((t) => h("td", { class: "number" }, t)),
    h("td", { class: verdictOn(metrics[key])[1] }, verdictOn(metrics[key])[0]));
  return h("section", { id: "overview" }, h("h2", { class: "quiet" }, "Overview"),
    notes.length > 0 && h("div", { class: "card warning" }, icon("error"), h("div", {}, h("b", {}, "Mind, before you compare: "), notes.join("; "))),
    h("div", { class: "card overview" },
      h("div", { class: `hero ${tone}` },
        h("p", { class: "figure", "data-metric": name }, points(metrics[name].difference), h("small", {}, " points")),
        h("p", {}, "B minus A, answers that satisfy every constraint"),
        h("p", { class: "muted" }, `95% interval ${points(metrics[name].low)} to ${points(metrics[name].high)} · ${pPhrase(metrics[name].p_value)} (${metrics[name].test}) · n = ${count(metrics[name].n)}`),
        h("p", { class: `verdict ${tone}` }, words)),
      differenceChart(rows, "Headline differences")),
    flipBar(metrics[name], (status) => answers.filter({ status, family: "", kind: "", query: "" })),
    h("div", { class: "card scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["", "A", "B", "B − A, points", "95% interval", "p", ""].map((t) => h("th", { scope: "col", class: t && "number" }, t)))),
      h("tbody", {}, headlines.map(line)))));
}

function groupDifferences(comparison, answers) {
  const legend = h("p", { class: "legend" },
    h("span", { class: "muted" }, "Strict reading, B minus A, 95% intervals. \"More than noise\" holds after Holm's correction for the number of lines."));
  return switched("constraints", "Which constraints changed", [BY], ({ by }) => {
    const groups = Object.entries(comparison[`by_${by}`]);
    if (!groups.length) return h("p", { class: "empty" }, "The runs share no constraints.");
    groups.sort(([, p], [, q]) => p.difference - q.difference);
    return differenceChart(groups.map(([label, found]) => ({
      label, found, onclick: () => answers.filter({ family: "", kind: "", query: "", status: "all", [by]: label }),
    })), `Difference by ${by}`);
  }, legend);
}

function settingsSection(runs) {
  const groups = ["benchmark", "model", "sampling", "settings", "counts", "versions", "machine"];
  const cards = groups.flatMap((group) => {
    const values = runs.map((run) => known(run.manifest[group]));
    if (!values.some((v) => Object.keys(v).length)) return [];
    const same = values.every((v) => JSON.stringify(v) === JSON.stringify(values[0]));
    return h("div", { class: "card" }, h("h3", {}, group), same ? fieldList(values[0]) : besides(values));
  });
  const strategies = runs.map((run) => run.manifest.strategy).filter(Boolean);
  if (strategies.length) cards.unshift(h("div", { class: "card" }, h("h3", {}, "strategy"), strategies.map((text) => h("p", {}, text))));
  return h("section", { id: "settings" }, h("h2", {}, "Settings and versions"), h("div", { class: "settings" }, cards));
}

/** Two objects as one table; what they agree on stands once. */
function besides([a, b]) {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  const line = (name) => {
    const [one, two] = [a, b].map((o) => (name in o ? plain(o[name]) : "–"));
    const cells = one === two ? [h("td", { colspan: 2 }, one)] : [h("td", {}, one), h("td", {}, two)];
    return h("tr", { class: one === two ? null : "differs" }, h("th", { scope: "row" }, name.replaceAll("_", " ")), cells);
  };
  return h("table", { class: "besides" },
    h("thead", {}, h("tr", {}, h("th", {}), ["A", "B"].map((name) => h("th", { scope: "col" }, h("i", { class: "run" }, name))))),
    h("tbody", {}, names.map(line)));
}

const known = (object) => Object.fromEntries(Object.entries(object || {}).filter(([, v]) => v !== null && v !== "" && !(Array.isArray(v) && !v.length)));

function footer(own) {
  return h("footer", {}, !own && "Strict reads an answer as it is; loose forgives a first line, a last line and asterisks (IFEval). ",
    "Failed rows and undecided verdicts count as not passed and stay in every denominator. ",
    "Intervals are 95%, clustered by prompt where a prompt has several rows.");
}
