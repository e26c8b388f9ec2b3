// One answer in full (or two side by side): its constraints, the conversation, and the text with its marks.

const WORDS = { passed: "Passed", failed: "Failed", error: "Error", scored: "Scored", undecided: "Undecided", ungraded: "Not graded" };
const ICONS = { passed: "pass", failed: "fail", error: "error", scored: "none", undecided: "undecided", ungraded: "none" };
const verdictSign = (v) => (v && v.strict === null && isNumber(v.value) ? icon("none", "a number") : verdictIcon(v ? v.strict : null));
const verdictIcon = (strict) => (strict === true ? icon("pass", "passes") : strict === false ? icon("fail", "fails") : icon("undecided", "undecided"));

/** The detail of an item. Choosing a constraint leaves only its marks. */
function detail(item, data, actions) {
  const body = h("div", { class: "detail-body" });
  const state = { chosen: null };
  const draw = () => {
    const choose = (index) => {
      state.chosen = state.chosen === index ? null : index;
      body.replaceChildren();
      draw();
      body.querySelectorAll(".constraints button")[index].focus({ preventScroll: true });
      if (state.chosen !== null) reveal(body.querySelector("mark"), body.parentElement);
    };
    fill(body, {}, [
      constraintTable(item, data, state.chosen, choose),
      conversation(item.rows[0].messages),
      h("div", { class: data.pairs ? "answers two" : "answers" },
        item.rows.map((row, i) => answer(row, data.pairs ? "AB"[i] : "", state.chosen, data.runs[i].manifest))),
      extras(item, data.pairs),
    ]);
  };
  draw();
  return [detailHead(item, data, actions), body];
}

/** Scroll the pane, and only the pane, until the mark can be seen. */
function reveal(mark, pane) {
  if (!mark) return;
  const [inner, outer] = [mark.getBoundingClientRect(), pane.getBoundingClientRect()];
  if (inner.top < outer.top + 60 || inner.bottom > outer.bottom) pane.scrollTop += inner.top - outer.top - outer.height / 3;
}

function detailHead(item, data, { previous, next, close }) {
  const badges = data.pairs
    ? [badge(changeOf(item, () => true))]
    : [badge(statusOf(item.rows[0]), tally(item.rows[0]))];
  const button = (name, label, onclick) => h("button", { type: "button", class: `tool ${name}`, "aria-label": label, "data-tip": label, onclick }, icon(name));
  return h("header", { class: "detail-head" },
    h("div", {}, badges, h("h3", {}, item.id), item.sample > 0 && h("span", { class: "muted" }, `sample ${item.sample}`)),
    h("div", { class: "tools" }, button("previous", "Previous (↑)", previous), button("next", "Next (↓)", next), button("close", "Close (Esc)", close)));
}

function tally(row) {
  if (row.own) return "";
  const passed = row.verdicts.filter((v) => v.strict === true).length;
  return row.verdicts.length && !row.error ? `${passed} of ${row.verdicts.length} hold` : "";
}

const CHANGES = { gained: "Gained", lost: "Lost", both: "Both pass", neither: "Neither passes" };

function badge(status, more) {
  const name = { gained: "up", lost: "down", both: "pass", neither: "fail" }[status] || ICONS[status];
  return h("span", { class: `badge ${status}` }, icon(name), CHANGES[status] || WORDS[status], more && h("small", {}, more));
}

function constraintTable(item, data, chosen, choose) {
  const [first] = item.rows;
  if (!first.verdicts.length) return h("p", { class: "empty" }, data.own ? "Nothing was graded." : "This prompt carries no constraints: nothing was checked.");
  return h("section", {}, h("h4", {}, data.own ? "Figures" : "Constraints"),
    h("ul", { class: "constraints" }, first.verdicts.map((verdict, index) => {
      const verdicts = item.rows.map((row) => row.verdicts[index]);
      return h("li", {}, h("button", {
        type: "button", "aria-pressed": String(chosen === index), onclick: () => choose(index),
        "data-tip": chosen === index ? "Show the marks of all constraints" : "Show only the marks of this constraint",
      },
        h("span", { class: "signs" }, verdicts.map(verdictSign)),
        h("span", { class: "what" },
          h("span", {}, h("b", {}, verdict.kind), verdicts.map((v, i) => valueText(v, data.pairs ? "AB"[i] : "")), h("span", { class: "args" }, argsText(verdict))),
          verdicts.map((v, i) => reasonLine(v, data.pairs ? "AB"[i] : "")))));
    })));
}

/** The number that a scorer found, where it says more than the sign. */
function valueText(verdict, name) {
  if (!verdict || !isNumber(verdict.value) || (verdict.strict !== null && [0, 1].includes(verdict.value))) return null;
  return h("span", { class: "args" }, name && h("i", { class: "run" }, name), ` ${Number(verdict.value.toPrecision(3))}`);
}

/** The arguments in words: at least 60 · keywords "boat", "bread". */
function argsText({ kind, args }) {
  const quoted = (v) => (typeof v === "string" ? `"${v}"` : Array.isArray(v) ? v.map(quoted).join(", ") : plain(v));
  return Object.entries(args || {}).filter(([, v]) => v !== null)
    .map(([name, v]) => (name === kind ? quoted(v) : `${name.replaceAll("_", " ")} ${quoted(v)}`)).join(" · ");
}

function reasonLine(verdict, name) {
  if (!verdict) return null;
  const loosely = verdict.strict === false && verdict.loose === true;
  if (!verdict.reason && !loosely) return null;
  return h("span", { class: "reason" }, name && h("i", { class: "run" }, name), verdict.reason,
    loosely && h("em", { "data-tip": "Passes once its first line, its last line or its asterisks are taken away" }, "passes loosely"));
}

function conversation(messages) {
  return h("section", {}, h("h4", {}, messages.length > 1 ? "Conversation" : "Prompt"),
    messages.map((m) => h("div", { class: `message ${m.role === "user" ? "user" : "other"}` },
      (messages.length > 1 || m.role !== "user") && h("span", { class: "role" }, m.role), h("div", { class: "text", dir: "auto" }, m.text))));
}

function answer(row, name, chosen, manifest) {
  const cap = manifest.sampling?.max_tokens;
  const notes = [
    row.finish === "length" && h("span", { class: "note warn" }, cap ? `cut at ${count(cap)} tokens` : "cut at the token cap"),
    row.finish && !["length", "stop"].includes(row.finish) && h("span", { class: "note" }, `ended: ${row.finish}`),
    row.tokensOut > 0 && h("span", { class: "note" }, plural(row.tokensOut, "token")),
  ];
  const run = name && [h("i", { class: "run" }, name), h("span", { class: "who" }, manifest.model?.name || "")];
  return h("section", {}, h("h4", {}, run || "Answer", h("span", { class: "notes" }, notes)), answerText(row, chosen));
}

function answerText(row, chosen) {
  if (row.error) {
    const [boundary, kind, message] = row.error;
    return h("div", { class: "message failure" }, icon("error"), h("div", {}, h("b", {}, kind || "Error"), boundary && ` at the ${boundary}`, h("div", { class: "text" }, message)),
      row.response && h("div", { class: "text" }, row.response));
  }
  if (!row.response) return h("div", { class: "message answer" }, h("p", { class: "empty" }, "The answer is empty."));
  return h("div", { class: "message answer" },
    h("div", { class: "text", dir: "auto" }, marked(row.response, row.verdicts, chosen)),
    row.length && h("p", { class: "empty" }, `Cut here: the answer has ${count(row.length)} characters. rows.parquet holds all of it.`));
}

/** The text as nodes, with a <mark> wherever a span of a constraint lies. */
function marked(text, verdicts, chosen) {
  const spans = verdicts.flatMap((verdict, index) => (chosen !== null && chosen !== index ? [] : verdict.spans)
    .map(([start, end, label]) => ({ start, end, label, verdict })));
  return segments(text, spans).map(({ text: piece, spans: over }) => {
    if (!over.length) return piece;
    const label = over.some((span) => span.label === "violates") ? "violates" : "satisfies";
    const reasons = new Set(over.map((span) => `${span.verdict.kind} ${span.label === "violates" ? "✗" : "✓"} ${span.verdict.reason}`));
    return h("mark", { class: label, "data-tip": [...reasons].join("\n") }, piece);
  });
}

/** How a strategy came to the answer, and the row's own extra fields. */
function extras(item, pairs) {
  const [{ meta }] = item.rows;
  const traces = item.rows.map((row, i) => row.trace && h("details", {},
    h("summary", {}, pairs ? `How answer ${"AB"[i]} came about` : "How the answer came about"),
    traceSteps(row.trace)));
  const fields = meta && h("details", {}, h("summary", {}, "Fields of the row"), fieldList(meta));
  return (fields || traces.some(Boolean)) && h("section", { class: "extras" }, traces, fields);
}

/** An object as a definition list. */
function fieldList(object) {
  const pairs = typeof object === "object" && object !== null ? Object.entries(object) : [["value", object]];
  return h("dl", { class: "fields" }, pairs.map(([k, v]) => [h("dt", {}, k.replaceAll("_", " ")), h("dd", {}, plain(v))]));
}
