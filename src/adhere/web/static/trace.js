// How a strategy came to an answer: one block a step. Steps are data of strangers too: a form that is not ours is shown
// as its fields.

/** The steps of one row's trace. */
function traceSteps(trace) {
  const steps = (Array.isArray(trace) ? trace : [trace]).filter((step) => step !== null && step !== undefined);
  const isNode = (step) => step?.step === "node";
  const blocks = [];
  for (let at = 0; at < steps.length;) {
    let end = at;
    while (end < steps.length && isNode(steps[end])) end += 1;
    blocks.push(end > at ? treeBlock(steps.slice(at, end)) : traceBlock(steps[at], at));
    at = Math.max(end, at + 1);
  }
  return h("div", { class: "trace" }, blocks);
}

function traceBlock(step, at) {
  const name = typeof step === "object" ? String(step.step ?? `step ${at + 1}`) : `step ${at + 1}`;
  let body;
  try {
    body = (STEP_VIEWS[name] || stepFields)(step);
  } catch {
    body = stepFields(step);
  }
  return h("section", { class: "message other" }, h("span", { class: "role" }, name.replaceAll("_", " ")), body);
}

function stepFields(step) {
  if (typeof step !== "object") return h("div", { class: "text" }, plain(step));
  const lines = Object.entries(step).filter(([k]) => k !== "step").map(([k, v]) => `${k}: ${plain(v)}`);
  return h("div", { class: "text" }, lines.join("\n"));
}

const figure = (x) => (isNumber(x) ? String(Number(x.toPrecision(3))) : "–");
// The page's policy forbids style attributes; a property set by a script is allowed.
function styled(element, property, value) {
  element.style.setProperty(property, value);
  return element;
}
const stepText = (step) => h("div", { class: "text" }, plain(step.text));
const aside = (...parts) => h("div", { class: "aside" }, parts);

function critiqueView(step) {
  const rows = step.verdicts.map((verdict) => h("li", {}, h("span", { class: "signs" }, verdictIcon(verdict.met)),
    h("span", { class: "what" }, plain(verdict.constraint), verdict.reason && h("span", { class: "reason" }, plain(verdict.reason)))));
  return [h("ul", { class: "ticks" }, rows), aside(`${step.verdicts.filter((v) => v.met === true).length} of ${step.verdicts.length} hold`)];
}

function candidateView(step) {
  return [h("div", { class: "text" }, plain(step.text)),
    aside(h("span", { class: "signs" }, verdictIcon(step.passed ?? null)), ` candidate ${plain(step.index)} · score ${figure(step.value)}`,
      step.reason ? ` · ${plain(step.reason)}` : "")];
}

function routeView(step) {
  const most = Math.max(...Object.values(step.scores), 1e-9);
  const bars = Object.entries(step.scores).map(([name, p]) => h("div", { class: "route-row" },
    h("span", { class: name === step.chosen ? "chosen" : null }, name),
    h("span", { class: "track" }, styled(h("span"), "width", `${(100 * Math.max(0, p)) / most}%`)),
    h("span", { class: "number" }, figure(p))));
  return [bars, aside(plain(step.because))];
}

const STEP_VIEWS = {
  draft: stepText,
  note: stepText,
  decompose: (step) => [h("ul", {}, step.constraints.map((c) => h("li", {}, plain(c)))), aside(`source: ${plain(step.source)}`)],
  critique: critiqueView,
  refine: (step) => [stepText(step), step.feedback && aside(`asked to mend: ${plain(step.feedback)}`)],
  candidate: candidateView,
  choose: (step) => aside(`candidate ${plain(step.index)}: ${plain(step.because)}`),
  route: routeView,
  decline: (step) => aside(`predicted quality ${figure(step.value)} is under the threshold ${figure(step.threshold)}`),
  constrain: (step) => [
    aside(`compiled into decoding: ${plain(step.compiled)}`), aside(`left: ${plain(step.left)}`),
    step.grammar && h("details", {}, h("summary", {}, "grammar"), h("pre", { class: "text" }, plain(step.grammar))),
  ],
  demonstrations: (step) => [h("ul", {}, step.items.map((item) => h("li", {}, plain(item)))), aside(`selection: ${plain(step.selection)}`)],
  cost: (step) => aside(`${plural(step.calls, "model call")} · ${count(step.prompt_tokens)} tokens read · ${count(step.completion_tokens)} written`),
};

/** A search tree: each node under its parent, with its value. Depth is what the nodes say, at most 12 steps in. */
function treeBlock(nodes) {
  const rows = nodes.map((node) => styled(
    h("li", {}, h("span", { class: "value" }, figure(node.value)), h("span", { class: "text" }, plain(node.text))),
    "margin-left", `${1.2 * Math.min(12, Number(node.depth) || 0)}rem`));
  return h("section", { class: "message other" }, h("span", { class: "role" }, `search tree, ${plural(nodes.length, "node")}`),
    h("ul", { class: "tree" }, rows));
}
