// The data of the page: unpacked, named, and ready to be filtered.

/** Unpack the JSON that the page carries. */
async function readPayload() {
  const packed = atob(document.getElementById("data").textContent.trim());
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/**
 * Name what the payload holds by position (see report_data.py).
 * An item is a line of the list: one answer, or with two runs a pair of answers to one prompt.
 */
function nameAll(payload) {
  const runs = payload.runs.map((run) => ({
    manifest: run.manifest,
    rows: run.rows.map((row) => nameRow(row, payload, run.manifest.benchmark?.metrics && new Map(run.manifest.benchmark.metrics.map((m) => [m.name, m])))),
  }));
  const data = { ...payload, runs, pairs: runs.length > 1, own: runs.some((run) => run.manifest.benchmark?.metrics) };
  data.items = data.pairs ? pairUp(runs) : runs[0].rows.map((row) => toItem([row]));
  return data;
}

function nameRow(row, payload, declared) {
  const [prompt, sample, response, finish, tokensIn, tokensOut, strict, loose, verdicts, extras] = row;
  const { id, messages } = payload.prompts[prompt];
  return {
    id, messages, sample, response, finish, tokensIn, tokensOut, strict, loose, ...extras,
    own: Boolean(declared),
    verdicts: verdicts.map(([kind, args, strictly, loosely, reason, spans, value = null]) => {
      const named = payload.kinds[kind];
      const unit = declared?.get(named.kind)?.unit ?? "share";
      return { ...named, args: payload.args[args], strict: strictly, loose: loosely, reason, spans, value, unit, level: levelOf(strictly, value, unit) };
    }),
  };
}

/** How well it went between 0 and 1; null where nobody knows, or where the figure is no share. */
function levelOf(strict, value, unit) {
  if (strict !== null) return Number(strict);
  return unit === "share" && typeof value === "number" ? Math.max(0, Math.min(1, value)) : null;
}

function pairUp([a, b]) {
  const key = (row) => JSON.stringify([row.id, row.sample]);
  const partners = new Map(b.rows.map((row) => [key(row), row]));
  return a.rows.filter((row) => partners.has(key(row))).map((row) => toItem([row, partners.get(key(row))]));
}

function toItem(rows) {
  const last = rows[0].messages.findLast((m) => m.role === "user") || rows[0].messages.at(-1);
  return { id: rows[0].id, sample: rows[0].sample, rows, prompt: last ? last.text : "", haystack: null };
}

/** error | passed | failed | scored | undecided | ungraded, over some of a row's verdicts (all of them by default). */
function statusOf(row, verdicts = row.verdicts) {
  if (row.error) return "error";
  if (!verdicts.length) return "ungraded";
  if (row.own) return ownStatus(row, verdicts);
  if (verdicts.some((v) => v.strict === false)) return "failed";
  return verdicts.every((v) => v.strict === true) ? "passed" : "undecided";
}

/** Of a benchmark with a scorer of its own: its verdict on the answer; where it gives a number only, "scored". */
function ownStatus(row, verdicts) {
  const flags = verdicts === row.verdicts || verdicts.length === row.verdicts.length ? [row.strict] : verdicts.map((v) => v.strict);
  if (flags.some((flag) => flag === false)) return "failed";
  if (flags.every((flag) => flag === true)) return "passed";
  return verdicts.some((v) => typeof v.value === "number") ? "scored" : "undecided";
}

/** gained | lost | both | neither | ungraded, over the verdicts that `wanted` picks. */
function changeOf(item, wanted) {
  if (!item.rows.some((row) => row.verdicts.some(wanted))) return "ungraded";
  const [a, b] = item.rows.map((row) => statusOf(row, row.verdicts.filter(wanted)) === "passed");
  if (a === b) return a ? "both" : "neither";
  return b ? "gained" : "lost";
}

const STATUSES = {
  one: [
    ["all", "All"], ["failed", "Failed"], ["passed", "Passed"], ["scored", "Scored"],
    ["error", "Errors"], ["undecided", "Undecided"], ["cut", "Cut"],
  ],
  two: [["all", "All"], ["gained", "Gained"], ["lost", "Lost"], ["both", "Both pass"], ["neither", "Neither"]],
};

/** The items that a filter {family, kind, query} leaves, counted by status, and those of filter.status. */
function applyFilter(data, filter) {
  const named = Boolean(filter.family || filter.kind);
  const wanted = (v) => (!filter.family || v.family === filter.family) && (!filter.kind || v.kind === filter.kind);
  const query = filter.query.trim().toLowerCase();
  const counts = {};
  const kept = [];
  for (const item of data.items) {
    if (named && !item.rows.some((row) => row.verdicts.some(wanted))) continue;
    if (query && !haystack(item).includes(query)) continue;
    const labels = labelsOf(item, data.pairs, wanted);
    for (const label of labels) counts[label] = (counts[label] || 0) + 1;
    if (labels.includes(filter.status)) kept.push(item);
  }
  return { items: kept, counts };
}

function labelsOf(item, pairs, wanted) {
  if (pairs) return ["all", changeOf(item, wanted)];
  const [row] = item.rows;
  const labels = ["all", statusOf(row, row.verdicts.filter(wanted))];
  if (row.finish === "length") labels.push("cut");
  return labels;
}

function haystack(item) {
  item.haystack ??= [item.id, item.prompt, ...item.rows.map((row) => row.response || "")].join("\n").toLowerCase();
  return item.haystack;
}

/** Offsets in code points (Python's) to offsets in UTF-16 units (JavaScript's). Text without astral characters: equal. */
function toUnits(text, offsets) {
  if (!/[\ud800-\udbff][\udc00-\udfff]/.test(text)) return offsets.map((o) => Math.min(o, text.length));
  const sorted = [...new Set(offsets)].sort((x, y) => x - y);
  const units = new Map();
  let point = 0;
  let unit = 0;
  for (const offset of sorted) {
    while (point < offset && unit < text.length) {
      unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
      point += 1;
    }
    units.set(offset, unit);
  }
  return offsets.map((o) => units.get(o));
}

/**
 * Cut a text where marks begin and end.
 * @param spans objects {start, end, …} in code points; they may overlap
 * @returns [{text, spans}], in order, together the whole text
 */
function segments(text, spans) {
  const real = spans.filter((span) => span.end > span.start);
  const units = toUnits(text, real.flatMap((span) => [span.start, span.end]));
  const edges = new Map();
  const at = (unit) => edges.get(unit) || edges.set(unit, { open: [], close: [] }).get(unit);
  real.forEach((span, i) => {
    at(units[2 * i]).open.push(span);
    at(units[2 * i + 1]).close.push(span);
  });
  const pieces = [];
  const active = new Set();
  let from = 0;
  for (const unit of [...edges.keys()].sort((x, y) => x - y)) {
    if (unit > from) pieces.push({ text: text.slice(from, unit), spans: [...active] });
    edges.get(unit).close.forEach((span) => active.delete(span));
    edges.get(unit).open.forEach((span) => active.add(span));
    from = unit;
  }
  if (from < text.length) pieces.push({ text: text.slice(from), spans: [] });
  return pieces;
}
