// The answers: filters, the list, and the one that is open.

/** @returns {element, open(item), filter(changes)} */
function explorer(data) {
  const filter = { status: firstStatus(data), family: "", kind: "", query: "" };
  const pane = h("div", { class: "detail", role: "region", "aria-label": "The open answer" });
  const list = virtualList({ render: (item) => lineContent(item, data), label: "Answers", onselect: (item, byUser) => open(item, byUser) });
  const element = h("section", { id: "answers", class: "explorer" });
  const bar = filterBar(data, filter, () => refresh());
  const none = h("div", { class: "empty list-empty", hidden: true }, h("p", {}, "No answer matches these filters."),
    h("button", { type: "button", class: "link", onclick: () => change({ status: "all", family: "", kind: "", query: "" }) }, "Clear the filters"));

  const close = () => {
    element.classList.remove("open");
    document.body.classList.remove("reading");
    list.element.focus({ preventScroll: true });
  };
  const open = (item, byUser) => {
    if (!item) return;
    pane.replaceChildren(...detail(item, data, { previous: () => list.move(-1), next: () => list.move(1), close }));
    pane.scrollTop = 0;
    if (byUser) {
      element.classList.add("open");
      document.body.classList.toggle("reading", matchMedia("(max-width: 60rem)").matches);
      history.replaceState(null, "", `#row=${encodeURIComponent(item.id)},${item.sample}`);
    }
  };
  const refresh = () => {
    const found = applyFilter(data, filter);
    bar.update(found);
    list.show(found.items);
    none.hidden = found.items.length > 0;
    if (!list.selected() && found.items.length) list.select(found.items[0], false);
    if (!found.items.length) pane.replaceChildren(h("p", { class: "empty" }, "Nothing to show."));
  };
  const change = (changes) => {
    Object.assign(filter, changes);
    refresh();
  };
  element.addEventListener("keydown", (event) => event.key === "Escape" && close());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    bar.focusSearch();
  });
  element.append(h("h2", {}, data.pairs ? "Answers side by side" : "Answers"), bar.element,
    h("div", { class: "panes" }, h("div", { class: "list-pane" }, list.element, none), pane));
  refresh();

  return {
    element,
    /** Open an answer, whatever the filters say. */
    open(item) {
      if (!applyFilter(data, filter).items.includes(item)) change({ status: "all", family: "", kind: "", query: "" });
      list.select(item, true);
      element.scrollIntoView();
    },
    filter(changes) {
      change(changes);
      element.scrollIntoView();
    },
    /** The answer that the address names, if any. */
    openFromAddress() {
      const [, id, sample] = /^#row=(.*),(\d+)$/.exec(location.hash) || [];
      const item = id !== undefined && data.items.find((i) => i.id === decodeURIComponent(id) && i.sample === Number(sample));
      if (item) this.open(item);
    },
  };
}

/** What a reader comes for: the losses, else the failures, else everything. */
function firstStatus(data) {
  const { counts } = applyFilter(data, { status: "all", family: "", kind: "", query: "" });
  return ["lost", "failed"].find((status) => counts[status]) || "all";
}

function lineContent(item, data) {
  const status = data.pairs ? changeOf(item, () => true) : statusOf(item.rows[0]);
  const sign = { gained: "up", lost: "down", both: "pass", neither: "fail" }[status] || ICONS[status];
  const dots = item.rows.map((row) => h("span", { class: "dots" },
    row.verdicts.slice(0, 12).map((v) => h("i", { class: v.strict === true ? "pass" : v.strict === false ? "fail" : "undecided", "data-tip": `${v.kind}\n${v.reason}` }))));
  return [
    h("span", { class: `sign ${status}` }, icon(sign, CHANGES[status] || WORDS[status])),
    h("span", { class: "line-text" },
      h("span", { class: "line-head" },
        h("b", {}, item.id), item.sample > 0 && h("span", {}, `sample ${item.sample}`),
        !data.pairs && item.rows[0].finish === "length" && h("span", { class: "note warn" }, "cut"),
        h("span", { class: "dot-rows" }, dots)),
      h("span", { class: "line-prompt", dir: "auto" }, item.prompt.slice(0, 300) || "(no text)")),
  ];
}

/** Statuses with counts, family, kind, search. */
function filterBar(data, filter, onchange) {
  const set = (changes) => {
    Object.assign(filter, changes);
    onchange();
  };
  const buttons = STATUSES[data.pairs ? "two" : "one"].map(([name, label]) => {
    const number = h("small", {});
    return { name, number, element: h("button", { type: "button", class: name, onclick: () => set({ status: name }) }, label, number) };
  });
  const kinds = [...data.kinds].sort((x, y) => (x.kind < y.kind ? -1 : 1));
  const families = [...new Set(kinds.map((k) => k.family))].sort();
  const choice = (label, names, onpick) => h("select", { "aria-label": label, onchange: (e) => onpick(e.target.value) },
    h("option", { value: "" }, label), names.map((name) => h("option", { value: name }, name)));
  const family = choice("All families", families, (value) => set({ family: value, kind: "" }));
  const kind = choice(data.own ? "All figures" : "All constraints", kinds.map((k) => k.kind), (value) => set({ kind: value }));
  let waiting = 0;
  const search = h("input", {
    type: "search", placeholder: "Search prompts and answers", "aria-label": "Search prompts and answers", "aria-keyshortcuts": "/",
    oninput: () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => set({ query: search.value }), 120);
    },
  });
  const shown = h("output", { class: "muted", "aria-live": "polite" });
  const element = h("div", { class: "filters" },
    h("div", { class: "segments", role: "group", "aria-label": "Verdict" }, buttons.map((b) => b.element)), !data.own && family, kind, search, shown);
  return {
    element,
    focusSearch: () => search.focus(),
    update({ items, counts }) {
      for (const { name, number, element: button } of buttons) {
        number.textContent = count(counts[name] || 0);
        button.setAttribute("aria-pressed", String(filter.status === name));
        button.hidden = ["error", "undecided", "scored", "cut"].includes(name) && !counts[name] && filter.status !== name;
      }
      family.value = filter.family;
      kind.value = filter.kind;
      if (search.value !== filter.query) search.value = filter.query;
      shown.textContent = `${count(items.length)} of ${count(data.items.length)}`;
    },
  };
}
