"""The strategy `product_of_experts`: which rules go to the engine, rule files, and refusals."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.answer import build
from adhere.answer.product_of_experts import DEFAULT, ProductOfExperts, read_rules, tulu
from adhere.errors import CapabilityError, DataError, UsageError
from adhere.models.base import Capability, ModelInfo, Request, Rules
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response

ALL: tuple[Capability, ...] = ("chat", "complete", "diversity", "logit_bias", "prompt_diversity", "rules")
LLAMA: tuple[Capability, ...] = ("chat", "complete", "logit_bias", "prompt_diversity")


class Engine:
    """A backend that writes down what it was asked."""

    concurrency = 4

    def __init__(self, capabilities: tuple[Capability, ...] = ALL) -> None:
        self.info = ModelInfo("some", "fake", "0", capabilities=capabilities)
        self.asked: list[Request] = []

    async def generate(self, request: Request) -> Response:
        self.asked.append(request)
        return Response("Yes.")

    async def close(self) -> None:
        self.asked = []


def asked(engine: Engine, chat: bool = True, **switches: Any) -> Request:
    strategy = ProductOfExperts(Model(engine, chat=chat), **switches)  # type: ignore[arg-type]
    response = asyncio.run(strategy.answer(Instruction.of("Is it?")))
    assert response.trace[0]["step"] == "rules"
    return engine.asked[-1]


def test_the_default_rules_are_the_papers() -> None:
    assert DEFAULT.eos_slope * 250 == pytest.approx(15)
    assert (DEFAULT.eos_max, DEFAULT.diversity, DEFAULT.window) == (15.0, -1.5, "response")
    assert DEFAULT.tokens is not None
    assert [DEFAULT.tokens[t] for t in ("<", "|", "I", "We", "What", "should", "\n", "#")] == [
        -4,
        -4,
        -5,
        -3,
        -5,
        -6,
        1,
        1,
    ]


def test_each_rule_can_be_switched_off_alone() -> None:
    assert asked(Engine()).sampling.rules == DEFAULT
    no_eos, no_uniform, no_diversity = (
        asked(Engine(), **{s: False}).sampling.rules for s in ("eos", "uniform", "diversity")
    )
    assert no_eos and no_uniform and no_diversity
    assert (no_eos.eos_slope, no_eos.eos_max, no_eos.diversity, no_eos.tokens) == (0, 0, -1.5, DEFAULT.tokens)
    assert (no_uniform.tokens, no_uniform.diversity, no_uniform.eos_max) == (None, -1.5, 15)
    assert (no_diversity.diversity, no_diversity.tokens, no_diversity.eos_max) == (0, DEFAULT.tokens, 15)


def test_a_base_model_is_asked_in_the_papers_format() -> None:
    request = asked(Engine(), chat=False)
    assert [m.text for m in request.messages] == ["<|user|>\nIs it?\n<|assistant|>\n"]
    base = asked(Engine(("complete", "diversity", "logit_bias", "rules")))  # no chat template, whatever `chat` says
    assert (base.chat, [m.text for m in base.messages]) == (False, ["<|user|>\nIs it?\n<|assistant|>\n"])
    turns = (Message("system", "Be kind."), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    assert tulu(turns) == "<|system|>\nBe kind.\n<|user|>\na\n<|assistant|>\nb\n<|user|>\nc\n<|assistant|>\n"


def test_what_an_engine_cannot_apply_is_refused_before_any_call_with_what_to_switch_off() -> None:
    engine = Engine(LLAMA)
    strategy = ProductOfExperts(Model(engine))  # type: ignore[arg-type]
    for call in (strategy.check(), strategy.answer(Instruction.of("Is it?"))):
        with pytest.raises(CapabilityError, match=r"torch:some, or switch off: diversity=false, eos=false .llama.cpp"):
            asyncio.run(call)
    assert not engine.asked
    assert asked(engine, eos=False, diversity=False).sampling.rules == Rules(tokens=DEFAULT.tokens)
    window = Rules(diversity=-1.5, window="prompt")
    assert asked(engine, rules=window).sampling.rules == window


@pytest.mark.weights
def test_the_uniform_rule_works_in_llama_cpp(smollm2: Path) -> None:
    from adhere.models.llamacpp import LlamaCpp

    model = Model(LlamaCpp(smollm2, name="smollm2", slots=1, context=256))
    plain = Rules(tokens={"The": -100.0, "A": -100.0, "What": -100.0})
    strategy = ProductOfExperts(model, plain, eos=False, diversity=False)
    found = asyncio.run(strategy.answer(Instruction.of("Name three rivers.")))
    assert found.text and not {"The", "A", "What"} & set(found.text.split())
    asyncio.run(model.close())


# Rule files -----------------------------------------------------------------------------------------------------------

TOML = 'diversity = -1.5\neos = { slope = 0.06, max = 15 }\n[tokens]\n"I" = -5\n"\\n" = 1\n'


def test_a_rule_file_in_toml_or_json_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(TOML)
    (tmp_path / "rules.json").write_text(
        '{"eos": {"slope": 0.06, "max": 15}, "tokens": {"I": -5, "\\n": 1}, "diversity": -1.5}'
    )
    found = [read_rules(tmp_path / name) for name in ("rules.toml", "rules.json")]
    assert found == [Rules(0.06, 15.0, {"I": -5.0, "\n": 1.0}, -1.5)] * 2
    built = build(f'product_of_experts(rules="{tmp_path}/rules.toml", eos=false)', Model(Engine()))  # type: ignore[arg-type]
    assert isinstance(built, ProductOfExperts)
    assert built.active == Rules(tokens={"I": -5.0, "\n": 1.0}, diversity=-1.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("diversity = -1.5\n\n= 2", r"bad.toml: .*line 3"),
        ('tokens = { I = "low" }', r"bad.toml: Expected `float`, got `str` - at `\$.tokens"),
        ("divers = 1", r"bad.toml: Object contains unknown field `divers`.*eos, tokens, diversity"),
        ("eos = { slope = 1 }", r"missing required field `max`"),
        ('window = "all"', r"window"),
        ("[" * 5000, r"bad.toml: "),
    ],
)
def test_a_rule_file_that_cannot_be_used_is_named_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(DataError, match=said):
        read_rules(tmp_path / "bad.toml")


def test_a_file_that_is_not_there_or_not_text_or_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.toml: No such file"):
        read_rules(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"binary\.toml"):
        read_rules(tmp_path / "binary.toml")
    (tmp_path / "nan.toml").write_text("diversity = nan")
    with pytest.raises(UsageError, match="finite"):
        read_rules(tmp_path / "nan.toml")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    place = tmp_path_factory.getbasetemp() / "any.json"
    place.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    for file in (place, place.with_suffix(".toml")):
        file.write_bytes(place.read_bytes())
        try:
            assert isinstance(read_rules(file), Rules)
        except (DataError, UsageError) as error:
            assert "\n" not in str(error)
