// Runs of benchmarks that bring a scorer of their own: their figures in their own units, and the groups that they name.

/** The figures that a benchmark declares, by name, in its order; null for the constraints' accuracies. */
const declaredOf = (manifest) => (manifest.benchmark?.metrics ? Object.fromEntries(manifest.benchmark.metrics.map((m) => [m.name, m])) : null);
const unitOf = (manifest, name) => declaredOf(manifest)?.[name]?.unit ?? "share";

/** A figure in its unit: a percentage, or a plain number. */
function figureText(value, unit) {
  if (!isNumber(value)) return "–";
  return unit === "share" ? percent(value) : String(Number(value.toPrecision(3)));
}

/** A difference in its unit, signed. */
function changeText(value, unit) {
  if (!isNumber(value)) return "–";
  if (unit === "share") return points(value);
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${Number(Math.abs(value).toPrecision(3))}`;
}

function rangeText(rate, unit, text = figureText) {
  return isNumber(rate?.low) && isNumber(rate?.high) ? `${text(rate.low, unit)} to ${text(rate.high, unit)}` : "–";
}

function figureOverview(data, manifest, answers) {
  const metrics = manifest.metrics || {};
  const declared = declaredOf(manifest);
  const name = manifest.benchmark.headline;
  const unit = unitOf(manifest, name);
  const rate = decided(metrics[name]);
  const hero = rate && isNumber(rate.value)
    ? h("div", { class: "hero" },
        h("p", { class: "figure", "data-metric": name }, figureText(rate.value, unit), unit !== "share" && unit && h("small", {}, ` ${unit}`)),
        h("p", {}, declared[name]?.label || name),
        h("p", { class: "muted" }, isNumber(rate.low) && `95% interval ${rangeText(rate, unit)} · `, `n = ${count(rate.n)}`,
          rate.clusters !== rate.n && ` from ${count(rate.clusters)} prompts`, rate.undecided > 0 && ` · ${count(rate.undecided)} undecided`))
    : h("div", { class: "hero" }, h("p", { class: "figure" }, "–"), h("p", { class: "muted" }, "The headline is not determined by these answers."));
  const names = Object.keys(declared).filter((key) => metrics[key]);
  const shares = names.filter((key) => unitOf(manifest, key) === "share");
  const others = names.filter((key) => unitOf(manifest, key) !== "share");
  return h("section", { id: "overview" }, h("h2", { class: "quiet" }, "Overview"),
    h("div", { class: "card overview" }, hero,
      shares.length > 0 && rateChart(shares.map((key) => ({ label: declared[key].label, rate: decided(metrics[key]) })), "Figures", "share")),
    others.length > 0 && figureTable(others.map((key) => ({ label: declared[key].label, rate: metrics[key], unit: unitOf(manifest, key) }))),
    tiles(data, manifest, answers));
}

/** The rate, or, where nothing at all was decided, one without a value: 0% would read as a failure. */
const decided = (rate) => (rate?.n > 0 && rate.undecided === rate.n ? { ...rate, value: null, low: null, high: null } : rate);

/** Figures that are no shares. @param rows [{label, rate, unit}] */
function figureTable(rows) {
  const line = ({ label, rate, unit }) => h("tr", {}, h("th", { scope: "row" }, label, unit && h("small", { class: "muted" }, ` ${unit}`)),
    [figureText(rate.value, unit), rangeText(rate, unit), count(rate.n)].map((t) => h("td", { class: "number" }, t)));
  return h("div", { class: "card scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["", "value", "95% interval", "n"].map((t) => h("th", { scope: "col", class: t && "number" }, t)))),
    h("tbody", {}, rows.map(line))));
}

/** Figures of the groups that the benchmark names, and of the single checks that are no figure of their own. */
function figureGroups(manifest) {
  const metrics = manifest.metrics || {};
  const declared = declaredOf(manifest);
  const keys = Object.keys(metrics).filter((key) => key.startsWith("by_") && Object.keys(metrics[key]).length);
  if (!keys.length) return null;
  const title = (key) => (key === "by_kind" ? "Checks" : key.slice(3).replaceAll("_", " "));
  const found = new Set(keys.flatMap((key) => Object.values(metrics[key]).flatMap((rates) => Object.keys(rates))));
  const names = [...found].sort((x, y) => Number(y === manifest.benchmark.headline) - Number(x === manifest.benchmark.headline));
  const switches = [["by", "Group", keys.map((key) => [key, title(key)])]];
  if (names.length > 1) switches.push(["name", "Figure", names.map((name) => [name, declared[name]?.label || name])]);
  const naturally = ([x], [y]) => x.localeCompare(y, "en", { numeric: true });
  return switched("groups", "By group", switches, ({ by, name = names[0] }) => {
    const rows = Object.entries(metrics[by]).sort(naturally).map(([label, rates]) => ({ label, rate: decided(rates[name] ?? rates.passed) })).filter(({ rate }) => rate);
    if (!rows.length) return h("p", { class: "empty" }, "These groups have no such figure.");
    if (unitOf(manifest, name) === "share") return rateChart(rows, `${name} by ${title(by)}`, "share");
    return figureTable(rows.map(({ label, rate }) => ({ label, rate, unit: unitOf(manifest, name) })));
  });
}

function figureDifferences(data, answers) {
  const { metrics, warnings, only_a: onlyA, only_b: onlyB } = data.comparison;
  const manifest = data.runs[1].manifest;
  const declared = declaredOf(manifest);
  const name = metrics[manifest.benchmark.headline] ? manifest.benchmark.headline : Object.keys(metrics)[0];
  const notes = [...warnings];
  if (onlyA.length) notes.push(`${plural(onlyA.length, "prompt")} only in A, left out`);
  if (onlyB.length) notes.push(`${plural(onlyB.length, "prompt")} only in B, left out`);
  const tested = (key) => isNumber(metrics[key].p_value);
  const line = (key) => {
    const [m, unit] = [metrics[key], unitOf(manifest, key)];
    const [words, tone] = tested(key) ? verdictOn(m) : [m.verdict, "noise"];
    return h("tr", {}, h("th", { scope: "row" }, declared[key].label),
      [figureText(m.a, unit), figureText(m.b, unit), changeText(m.difference, unit), rangeText(m, unit, changeText), pValue(m.p_value)]
        .map((t) => h("td", { class: "number" }, t)), h("td", { class: tone }, words));
  };
  const shares = Object.keys(declared).filter((key) => metrics[key] && unitOf(manifest, key) === "share" && tested(key));
  return h("section", { id: "overview" }, h("h2", { class: "quiet" }, "Overview"),
    notes.length > 0 && h("div", { class: "card warning" }, icon("error"), h("div", {}, h("b", {}, "Mind, before you compare: "), notes.join("; "))),
    name && h("div", { class: "card overview" }, differenceHero(metrics[name], declared[name].label, unitOf(manifest, name), name),
      shares.length > 0 && differenceChart(shares.map((key) => ({ label: declared[key].label, found: metrics[key] })), "Differences")),
    h("div", { class: "card scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["", "A", "B", "B − A", "95% interval", "p", ""].map((t) => h("th", { scope: "col", class: t && "number" }, t)))),
      h("tbody", {}, Object.keys(declared).filter((key) => metrics[key]).map(line)))));
}

function differenceHero(found, label, unit, name) {
  const [words, tone] = isNumber(found.p_value) ? verdictOn(found) : [found.verdict, "noise"];
  return h("div", { class: `hero ${tone}` },
    h("p", { class: "figure", "data-metric": name }, changeText(found.difference, unit), h("small", {}, unit === "share" ? " points" : ` ${unit}`)),
    h("p", {}, `B minus A, ${label}`),
    isNumber(found.p_value) && h("p", { class: "muted" }, `95% interval ${rangeText(found, unit, changeText)} · ${pPhrase(found.p_value)} (${found.test}) · n = ${count(found.n)}`),
    h("p", { class: `verdict ${tone}` }, words));
}
