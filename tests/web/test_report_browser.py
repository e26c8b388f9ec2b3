"""The report in a real Chromium, opened as a file: what a reader sees, and that nothing leaves the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adhere.bench.compare import compare_runs
from adhere.bench.run_dir import Run
from adhere.web.report import write_comparison, write_report

Make = Callable[..., Run]


class Page:
    """A report that is open in the browser."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.browser, self.path = browser, path
        browser.get("about:blank")
        for log in ("browser", "performance"):
            browser.get_log(log)  # forget what earlier pages said
        browser.get(path.as_uri())
        self.wait("document.querySelector('main') || document.querySelector('#notice')?.textContent.includes('not')")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 30, poll_frequency=0.05).until(lambda b: b.execute_script(f"return ({condition})"))

    def texts(self, selector: str) -> list[str]:
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)

    def click(self, selector: str, index: int = 0) -> None:
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, index)

    def press(self, key: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(key).perform()

    def set(self, selector: str, value: str, index: int = 0) -> None:
        """Change a form field as a user does."""
        self.run(
            "const e = document.querySelectorAll(arguments[0])[arguments[1]]; e.value = arguments[2];"
            "e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change'))",
            selector, index, value,
        )  # fmt: skip

    def shown(self) -> str:
        return self.texts(".filters output")[0]

    def complaints(self) -> list[str]:
        """What the console said."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests(self) -> set[str]:
        """Every address that was asked for."""
        messages = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return {url for url in sent if not url.startswith(("about:", "chrome:"))}  # the browser's own empty tab


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Callable[..., Page]:
    def open_(run: Run, other: Run | None = None) -> Page:
        path = tmp_path / "report.html"
        if other is None:
            write_report(run, path)
        else:
            write_comparison(run, other, path)
        return Page(browser, path)

    return open_


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("runs", [1, 2])
def test_the_page_opens_without_a_complaint_and_asks_for_nothing_but_itself(
    opened: Callable, made_run: Make, samples: int, runs: int
) -> None:
    made = [made_run(25, samples=samples, model=model) for model in ("a", "b")]
    page = opened(*made[:runs])
    for n in range(len(page.texts("main button"))):  # every button, whatever it does
        page.run("document.querySelectorAll('main button')[arguments[0]]?.click()", n)
    assert page.complaints() == []
    assert {url.split("#")[0] for url in page.requests()} == {page.path.as_uri()}


def test_the_headline_figures_are_the_manifests(opened: Callable, made_run: Make) -> None:
    run = made_run(50)
    page = opened(run)
    names = ("prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose")
    expected = [f"{100 * run.metrics[n]['value']:.1f}%" for n in names]
    assert page.texts("#overview .chart-row:not(.head) .value") == expected
    assert page.texts(".figure") == [expected[0]]
    assert page.texts("#overview .chart-row:not(.head) .n") == [str(run.metrics[n]["n"]) for n in names]
    low, high = (100 * run.metrics["prompt_strict"][k] for k in ("low", "high"))
    assert f"{low:.1f} – {high:.1f}" in page.texts(".hero")[0]


def test_bars_stand_where_their_rates_are(opened: Callable, made_run: Make) -> None:
    run = made_run(60)
    page = opened(run)
    page.click("#constraints .segments button", 1)
    labels = page.texts("#constraints .chart-row:not(.head) .label")
    bars = "[...document.querySelectorAll('#constraints .strip .bar')]"
    widths = dict(zip(labels, page.run(f"return {bars}.map(e => parseFloat(e.getAttribute('width')))"), strict=True))
    assert widths == pytest.approx({k: 100 * r["strict"]["value"] for k, r in run.metrics["by_kind"].items()}, abs=0.01)


def test_filters_leave_what_they_say(opened: Callable, made_run: Make) -> None:
    run = made_run(120)
    page = opened(run)
    rows = {(r.id, r.sample): r for r in run.rows}
    failed = {(v.id, v.sample) for v in run.verdicts if v.strict is False}
    assert page.shown() == f"{len(failed)} of 120"  # failures first: what a reader comes for
    for status, expected in (
        ("all", 120),
        ("passed", sum(r.strict_all is True for r in run.rows)),
        ("error", sum(bool(r.error_kind) for r in run.rows)),
        ("cut", sum(r.finish_reason == "length" for r in run.rows)),
    ):
        page.click(f".filters .{status}")
        assert page.shown() == f"{expected} of 120"
    page.click(".filters .failed")
    page.set(".filters select", "bullets", 1)
    bullets = {(v.id, v.sample) for v in run.verdicts if v.kind == "bullets" and v.strict is False}
    assert page.shown() == f"{len(bullets)} of 120"
    page.set("input[type=search]", "LIGHTHOUSE")
    found = sum("lighthouse" in rows[key].prompt.lower() for key in bullets)
    page.wait(f"document.querySelector('.filters output').textContent === '{found} of 120'")


def test_a_bar_opens_its_failures_and_an_empty_result_can_be_undone(opened: Callable, made_run: Make) -> None:
    run = made_run(120)
    page = opened(run)
    label = page.texts("#constraints .chart-row:not(.head) .label")[0]
    page.click("#constraints .chart-row:not(.head)")
    failed = {(v.id, v.sample) for v in run.verdicts if v.family == label and v.strict is False}
    assert page.shown() == f"{len(failed)} of 120"
    page.set("input[type=search]", "zzz")
    page.wait("document.querySelector('.filters output').textContent === '0 of 120'")
    assert page.run("return document.querySelector('.list-empty').checkVisibility()")
    page.click(".list-empty button")
    assert page.shown() == "120 of 120"


def test_marks_stand_on_the_right_characters_also_beyond_the_basic_plane(opened: Callable, one_answer: Make) -> None:
    text = "👩‍🚀 says, 𝔥𝔢𝔩𝔩𝔬, 🙂 bread, e\u0301nd 🇫🇷"
    wanted = [(text.index("𝔥𝔢𝔩𝔩𝔬"), 5), (text.index("bread"), 5), (text.index("🇫🇷"), 2)]
    commas = [[i, i + 1, "violates"] for i, c in enumerate(text) if c == ","]
    marks = [[start, start + n, "satisfies"] for start, n in wanted]
    page = opened(one_answer(text, [("no_commas", False, "3 commas", commas), ("keywords", True, "found", marks)]))
    assert page.texts("mark.violates") == [",", ",", ","]
    assert page.texts("mark.satisfies") == ["𝔥𝔢𝔩𝔩𝔬", "bread", "🇫🇷"]
    assert page.texts(".answer .text") == [text]
    assert "3 commas" in page.run("return document.querySelector('mark.violates').dataset.tip")


def test_overlapping_marks_keep_the_text_and_the_violation_wins(opened: Callable, one_answer: Make) -> None:
    page = opened(
        one_answer("abcdef", [("x", True, "", [[0, 4, "satisfies"]]), ("y", False, "", [[2, 6, "violates"]])])
    )
    assert page.texts(".answer .text") == ["abcdef"]
    assert (page.texts("mark.satisfies"), page.texts("mark.violates")) == (["ab"], ["cd", "ef"])
    page.click(".constraints button", 0)  # this constraint alone
    assert (page.texts("mark.satisfies"), page.texts("mark.violates")) == (["abcd"], [])
    page.click(".constraints button", 0)
    assert page.texts("mark.violates") == ["cd", "ef"]


def test_markup_in_any_field_is_text_and_runs_nothing(opened: Callable, one_answer: Make) -> None:
    bad = "</script><img src=x onerror=\"window.hit=1\"><svg onload='window.hit=1'><a href=javascript:alert(1)>x</a>"
    fields = {"messages": [{"role": bad, "content": bad}], "meta": {bad: bad}, "trace": [{"step": bad, "text": bad}]}
    verdicts = [(bad, False, bad, [[0, 9, "violates"]])]
    encoded = {name: json.dumps(value) for name, value in fields.items()}
    run = one_answer(bad, verdicts, prompt=bad, model=bad, finish_reason=bad, **encoded)
    page = opened(run)
    assert page.texts(".answer .text") == [bad]
    assert page.run("return document.querySelectorAll('main img, main a, .masthead img, #page script').length") == 0
    assert page.run("return window.hit") is None
    assert page.complaints() == []
    assert len(page.requests()) == 1


def test_the_keyboard_is_enough(opened: Callable, made_run: Make) -> None:
    from selenium.webdriver.common.keys import Keys

    page = opened(made_run(60))
    page.click(".filters .all")
    page.run("document.querySelector('.list').focus()")
    for key in (Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_DOWN):
        page.press(key)
    assert page.texts(".detail h3") == ["1002"]
    page.press(Keys.END)
    assert page.texts(".detail h3") == ["1059"]
    assert page.texts('.line[aria-selected="true"] b') == ["1059"]
    page.press("/")
    assert page.run("return document.activeElement.type") == "search"


def test_the_map_tells_and_opens_its_cells(opened: Callable, made_run: Make) -> None:
    from selenium.webdriver.common.keys import Keys

    run = made_run(60, troubles=False)
    page = opened(run)
    names = page.texts(".heat-labels span")
    assert names[0] == "keywords" and set(names) == {v.family for v in run.verdicts}  # the most frequent first
    first = [v for v in run.verdicts if v.id == "1001" and v.family == names[0]]
    # A scroll hides the tip: let the one that focusing causes be over before the first key.
    page.run("const map = document.querySelector('.heat canvas'); map.scrollIntoView({block: 'center'}); map.focus()")
    page.run("window.settled = false; requestAnimationFrame(() => setTimeout(() => { window.settled = true; }, 100))")
    page.wait("window.settled")
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_UP):  # from the corner to the second answer, first line
        page.press(key)
    page.wait("document.querySelector('.tip')?.textContent.includes('1001')")
    told = page.texts(".tip")[0]
    assert "1001: Write something about" in told
    assert f"{sum(v.strict is True for v in first)} of {len(first)} check" in told if first else "not asked" in told
    page.press(Keys.ENTER)
    assert page.texts(".detail h3") == ["1001"]


def test_an_address_opens_its_answer(browser: Any, opened: Callable, made_run: Make) -> None:
    page = opened(made_run(60, samples=2))
    page.click(".filters .all")
    page.click(".line", 3)
    assert page.run("return location.hash") == "#row=1001,1"
    browser.refresh()
    page.wait("document.querySelector('.detail h3')?.textContent === '1001'")
    assert "sample 1" in page.texts(".detail-head")[0]


def test_a_run_without_constraints_says_so(opened: Callable, one_answer: Make) -> None:
    page = opened(one_answer("hello", []))
    assert page.texts(".figure") == ["–"]
    assert "no constraints" in page.texts("#overview")[0]
    assert page.texts(".answer .text") == ["hello"]
    assert page.complaints() == []


def test_ten_thousand_rows_open_with_few_elements_and_scroll_to_the_end(opened: Callable, made_run: Make) -> None:
    page = opened(made_run(10_000))
    page.click(".filters .all")
    assert page.shown() == "10,000 of 10,000"
    assert page.run("return document.querySelectorAll('*').length") < 2500
    page.run("const l = document.querySelector('.list'); l.scrollTop = l.scrollHeight")
    page.wait("[...document.querySelectorAll('.line b')].some(e => e.textContent === '10999')")
    assert len(page.texts(".line")) < 40


def test_a_phone_shows_one_pane_at_a_time_and_never_scrolls_sideways(
    browser: Any, opened: Callable, made_run: Make
) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})  # fmt: skip
    try:
        for page in (opened(made_run(40)), opened(made_run(40), made_run(40, model="tuned"))):
            assert page.run("return document.documentElement.scrollWidth") <= 360
            assert not page.run("return document.querySelector('.detail').checkVisibility()")
            page.click(".line")
            assert page.run("return document.querySelector('.detail').checkVisibility()")
            page.click(".tool.close")
            assert not page.run("return document.querySelector('.detail').checkVisibility()")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_comparison_shows_the_flips_side_by_side(opened: Callable, made_run: Make) -> None:
    a, b = made_run(100, troubles=False), made_run(100, skill=0.8, model="tuned", troubles=False)
    found = compare_runs(a, b)
    page = opened(a, b)
    strict = found.metrics["prompt_strict"]
    assert page.texts(".figure")[0].startswith(f"{100 * strict['difference']:+.1f}".replace("-", "−"))
    assert page.texts(".flips strong") == [str(strict[k]) for k in ("both", "only_b", "only_a", "neither")]
    gained = [f.id for f in found.flips if f.gained]
    page.click(".filters .gained")
    assert page.shown() == f"{len(gained)} of 100"
    page.click(".line")
    assert page.texts(".detail h3") == gained[:1]
    answers = [next(r.response for r in run.rows if r.id == gained[0]) for run in (a, b)]
    assert page.texts(".answers.two .answer .text") == answers
    assert page.complaints() == []
    assert len(page.requests()) == 1


def test_a_strategys_steps_are_shown_in_their_forms(opened: Callable, one_answer: Make) -> None:
    bad = "<img src=x onerror=window.hit=1>"
    verdicts = [
        {"constraint": "no commas", "met": True, "source": "program", "reason": "0 commas"},
        {"constraint": bad, "met": False, "source": "model", "reason": ""},
        {"constraint": "polite", "met": None, "source": "model", "reason": ""},
    ]
    node = {"step": "node", "depth": 0, "text": "root", "value": 0.5, "id": 0, "parent": None, "votes": []}
    trace = [
        {"step": "draft", "text": "first try"},
        {"step": "critique", "value": 0.5, "verdicts": verdicts},
        node, {**node, "id": 1, "depth": 1, "text": "leaf", "value": 1},
        {"step": "candidate", "index": 0, "text": "one", "value": 0.25, "passed": False, "reason": ""},
        {"step": "route", "scores": {"small": 0.25, "large": 0.75}, "chosen": "large", "because": "likelier"},
        {"step": "critique", "verdicts": "not ours"},
        {"step": "something_new", "x": 1},
        "not even an object", None,
        {"step": "cost", "calls": 3, "prompt_tokens": 10, "completion_tokens": 5},
    ]  # fmt: skip
    page = opened(one_answer("the answer", [("x", True, "", [])], trace=json.dumps(trace)))
    roles = page.texts(".trace .role")
    assert roles == ["draft", "critique", "search tree, 2 nodes", "candidate", "route", "critique", "something new",
                     "step 9", "cost"]  # fmt: skip
    assert page.texts(".trace .ticks .what") == ["no commas0 commas", bad, "polite"]
    assert page.run("return [...document.querySelectorAll('.trace .ticks .icon')].map(e => e.classList[1])") == [
        "pass", "fail", "undecided"]  # fmt: skip
    assert page.texts(".tree .text") == ["root", "leaf"]
    assert page.texts(".route-row .chosen") == ["large"]
    assert "3 model calls" in page.texts(".trace .aside")[-1]
    assert page.run("return window.hit") is None
    assert page.complaints() == []


def test_a_benchmark_with_a_scorer_of_its_own_is_shown_in_its_own_figures(
    opened: Callable, scored_run: Callable[..., Run]
) -> None:
    run = scored_run("red", "a deep red", "blue", None, "?", "red")
    page = opened(run)
    assert page.texts(".hero .figure") == ["50.0%"]
    assert "answers that say red" in page.texts(".hero")[0] and "1 undecided" in page.texts(".hero")[0]
    assert "words an answer words1.51 to 2.5" in "".join(page.texts("#overview table tbody tr")).replace("–", "")
    assert page.texts("#groups .chart-row:not(.head) .label") == ["even", "odd"]
    assert page.texts("#groups .chart-row:not(.head) .value") == ["33.3%", "66.7%"]
    page.click("#groups .segments:last-child button", 1)
    assert page.texts("#groups tbody th") == ["even words", "odd words"]
    assert page.complaints() == []


def test_two_runs_with_figures_of_their_own_are_compared_in_their_units(
    opened: Callable, scored_run: Callable[..., Run]
) -> None:
    page = opened(scored_run(*["blue"] * 6), scored_run(*["red red red"] * 5, None))
    assert page.texts(".hero .figure") == ["+83.3 points"]
    rows = "[...document.querySelectorAll('#overview tbody tr')]"
    lines = page.run(f"return {rows}.map(r => [...r.cells].map(c => c.textContent))")
    assert [line[:4] for line in lines] == [
        ["answers that say red", "0.0%", "83.3%", "+83.3"],
        ["words an answer", "1", "3", "+2"],
    ]
    assert page.complaints() == []
