"""Real traffic: the forms of logs, decomposing what was asked, scoring what was answered or a new model's answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adhere.bench.from_logs import from_logs
from adhere.bench.from_logs_rows import read_traffic
from adhere.bench.run import evaluate
from adhere.errors import DataError, UsageError
from adhere.models.fakes import Echo
from adhere.models.model import Model

ASKED = [
    {"role": "system", "content": "Never use commas."},
    {"role": "user", "content": "Greet me in at most 3 words."},
]
COMPLETION = {"model": "gpt-4o", "choices": [{"message": {"role": "assistant", "content": "Hello there"},
              "finish_reason": "length"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}  # fmt: skip
FORMS = {
    "server": {"id": "r1", "path": "/v1/chat/completions", "status": 200, "model": "smollm2",
               "said": {"asked": {"model": "smollm2", "messages": ASKED}, "answered": ["Hello there"]}},
    "request and response": {"request": {"model": "gpt", "messages": ASKED}, "response": COMPLETION},
    "batch": {"custom_id": "b", "body": {"messages": ASKED}, "response": {"status_code": 200, "body": COMPLETION}},
    "messages and text": {"messages": ASKED, "response": "Hello there"},
    "messages and completion": {"messages": ASKED, "completion": COMPLETION},
    "whole conversation": {"messages": [*ASKED, {"role": "assistant", "content": "Hello there"}]},
    "prompt": {"prompt": "Never use commas. Greet me in at most 3 words.", "response": "Hello there"},
}  # fmt: skip


def write(tmp_path, *rows, name="traffic.jsonl"):
    path = tmp_path / name
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_request_its_constraints_and_its_answer(tmp_path, form):
    benchmark = from_logs(write(tmp_path, FORMS[form]))
    (asked,) = benchmark.load()
    assert {c.kind for c in asked.constraints} == {"words", "no_commas"}  # the system prompt's too
    found = evaluate(benchmark, None)
    assert found.rows[0].response == "Hello there"
    assert found.metrics["checked"]["value"] == 1
    assert not benchmark.needs_model


def test_usage_finish_reason_and_model_are_kept(tmp_path):
    (row,) = read_traffic(write(tmp_path, FORMS["request and response"])).rows
    assert (row.response.finish_reason, row.response.model, row.response.usage.completion_tokens) == (
        "length",
        "gpt-4o",
        2,
    )
    assert row.instruction.meta["model"] == "gpt-4o"


def test_a_request_that_failed_is_a_failed_row_that_counts_as_nothing_held(tmp_path):
    failed = {"custom_id": "x", "body": {"messages": ASKED}, "response": {"body": {"error": {"message": "overloaded"}}}}
    refused = {"id": "y", "status": 500, "path": "/v1/chat/completions", "said": {"asked": {"messages": ASKED}}}
    found = evaluate(from_logs(write(tmp_path, FORMS["prompt"], failed, refused)), None)
    assert found.manifest["counts"]["failed"] == 2
    assert [r.error_message for r in found.rows[1:]] == ["overloaded", "the log has no answer (status 500)"]
    assert found.metrics["checked"]["value"] == pytest.approx(2 / 6)


def test_other_lines_of_a_log_are_counted_and_requests_without_constraints_left_out(tmp_path):
    health = {"id": "h", "path": "/healthz", "status": 200}
    benchmark = from_logs(write(tmp_path, health, FORMS["prompt"], {"prompt": "What is rain?", "response": "Water"}))
    assert benchmark.about.startswith("1 of 2 logged requests, with 2 constraints found by rules; 1 lines")


def test_the_same_request_twice_is_one_cluster(tmp_path):
    found = evaluate(from_logs(write(tmp_path, *[FORMS["messages and text"]] * 3)), None)
    assert (found.metrics["requests_checked"]["n"], found.metrics["requests_checked"]["clusters"]) == (3, 1)


def test_a_new_models_answers_are_asked_for_with_the_whole_conversation(tmp_path):
    benchmark = from_logs(write(tmp_path, FORMS["messages and text"]), answers="model")
    assert benchmark.needs_model
    found = evaluate(benchmark, Model(Echo()))
    assert found.rows[0].response == "Greet me in at most 3 words."
    assert json.loads(found.rows[0].messages)[0]["role"] == "system"


def test_a_model_may_decompose_and_where_it_writes_no_list_the_rules_do(tmp_path):
    (asked,) = from_logs(write(tmp_path, FORMS["prompt"]), decompose="echo").load()
    assert asked.meta["decomposed_by"] in ("model", "rules")
    assert asked.constraints


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ({"messages": []}, "`messages` is not a list of messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "message 1 has no role that is known"),
        ({"messages": [{"role": "system", "content": "x"}]}, "no user message"),
        ({"messages": ASKED, "response": 7}, "the response is a int"),
        ({"messages": ASKED, "response": {"what": 1}}, "neither a text nor a chat completion"),
        ({"messages": [{"role": "user", "content": 5}]}, "Expected"),
        ({"prompt": 5, "response": "x"}, "`prompt` is not a text"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_its_number(tmp_path, line, said):
    path = write(tmp_path, FORMS["prompt"], line)
    with pytest.raises(DataError) as caught:
        from_logs(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert said in str(caught.value)


def test_a_log_without_texts_says_how_to_get_them(tmp_path):
    silent = {"id": "r1", "path": "/v1/chat/completions", "status": 200, "model": "smollm2"}
    with pytest.raises(DataError, match="--log-prompts"):
        from_logs(write(tmp_path, silent))
    with pytest.raises(DataError, match="no constraint was found"):
        from_logs(write(tmp_path, {"prompt": "What is rain?", "response": "Water"}))


def test_options_that_cannot_be_are_refused(tmp_path):
    path = write(tmp_path, FORMS["prompt"])
    with pytest.raises(UsageError, match="answers='all'"):
        from_logs(path, answers="all")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be decomposed by 'gold'"):
        from_logs(path, decompose="gold")


NAMES = st.sampled_from(["messages", "role", "content", "response", "request", "body", "said", "asked", "choices",
                         "usage", "message", "prompt", "id", "path", "status", "error"])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["user", "assistant", "x", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_shape_a_line_has_it_is_read_or_refused_with_its_number(tmp_path_factory, line):
    path = write(tmp_path_factory.mktemp("logs"), line)
    try:
        read_traffic(path)
    except DataError as error:
        assert str(path) in str(error)
