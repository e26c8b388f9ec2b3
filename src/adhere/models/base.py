"""What a backend is, and the request that every backend reads.

A backend is small: it turns one `Request` into one `Response` and says in `info` what it can do. Caching, retries,
seeds and capability checks are done once, around all backends, by `Model` (`models/model.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from adhere.errors import CapabilityError, UsageError
from adhere.records import Message, Record, Response, TokenLogprob

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NO_EYES", "Backend", "Capability", "ModelInfo", "Piece", "Request", "Rules", "Sampling"]

Capability = Literal[
    "chat",  # has a chat template (or a chat endpoint)
    "complete",  # continues plain text
    "seed",  # the same seed gives the same text
    "top_k",
    "stop",
    "grammar",  # GBNF
    "json_schema",
    "token_logprobs",  # of the tokens that it generates
    "logprobs",  # of a given continuation, exactly
    "embed",
    "lora",
    "logit_bias",  # on tokens named by their strings
    "diversity",  # a constant on every token that the answer holds already
    "prompt_diversity",  # the same, of the answer and the prompt
    "rules",  # all of `Rules`
]
HINTS: dict[str, str] = {
    "rules": "Through torch every model can, e.g. torch:smollm2",
    "diversity": 'Through torch every model can, e.g. torch:smollm2; llama.cpp counts the prompt too: window="prompt"',
    "prompt_diversity": "llama.cpp and torch can, e.g. torch:smollm2",
    "logit_bias": "llama.cpp and torch can, e.g. torch:smollm2",
}
NO_EYES = "Let it read the text on them, --strategy ocr (pip install 'adhere[vision]'), or ask a model that sees"


class Rules(Record, omit_defaults=False):
    """Scores that are added to the logits at every position: a product of the model and of a hand-written expert.

    After Hewitt, Liu, Manning & Liang 2024 (arXiv 2409.14254), where adding r to the logits is multiplying
    the model's distribution by softmax(r); `words` is ours. All scores are natural-log odds; 0 switches a rule off.

    Attributes:
        eos_slope: R1, added to every token that ends the answer, for each token written so far.
        eos_max: Where R1 stays from then on. (In the authors' code the bonus is gone after 250 tokens, which is a
            mistake: their text says that it "slowly increases".)
        tokens: R2, added to these strings' tokens everywhere; each with and without a space in front.
        diversity: R3, added once to every distinct token that the window holds, e.g. -1.5.
        window: What R3 looks at: the "response" as in the paper's text, or the "prompt" and the response, which is
            nearer to the authors' code (it begins at the last user turn), and what llama.cpp can do.
        words: (least, most) words of the answer: below `least` an end is held back, from there on the ends of sentences
            become likelier and the answer ends at one; at `most` words its sentence is closed wherever it is.
        first_of_many: A string of several tokens is scored at its first token, instead of being refused.
    """

    eos_slope: float = 0.0
    eos_max: float = 0.0
    tokens: dict[str, float] | None = None
    diversity: float = 0.0
    window: Literal["response", "prompt"] = "response"
    words: tuple[int, int] | None = None
    first_of_many: bool = False

    def __post_init__(self) -> None:
        scores = (self.eos_slope, self.eos_max, self.diversity, *(self.tokens or {}).values())
        if not all(map(math.isfinite, scores)):
            raise UsageError("the scores of rules must be finite numbers")
        if self.words is not None and not 0 < self.words[0] <= self.words[1]:
            raise UsageError(f"words {list(self.words)}: the least must be above 0 and at most the most")

    def needs(self) -> frozenset[Capability]:
        """What a backend must be able to do to apply them."""
        wanted: set[Capability] = set()
        if self.eos_slope or self.words is not None:
            wanted.add("rules")
        if self.diversity:
            wanted.add("diversity" if self.window == "response" else "prompt_diversity")
        if self.tokens:
            wanted.add("logit_bias")
        return frozenset(wanted)


class Sampling(Record, omit_defaults=False):
    """How to draw tokens. The default is greedy, as benchmarks of instruction following want it.

    Attributes:
        temperature: 0 is greedy.
        top_p: Nucleus mass; 1 is off.
        top_k: 0 is off.
        max_tokens: The cap; answers cut here have `finish_reason == "length"`.
        stop: Strings that end the answer and are not part of it.
        seed: None lets `Model` derive one from the run's seed, the request and the sample's index.
        grammar: GBNF that the answer must match.
        json_schema: JSON schema that the answer must match.
        top_logprobs: Return generated tokens' log-probabilities with this many alternatives; None: none.
        logit_bias: Added to the logits of these tokens, each named by its exact string.
        rules: A product of experts.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int | None = None
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    rules: Rules | None = None


class Request(Record, omit_defaults=False):
    """One call: the conversation, how to sample, and whether to apply the chat template.

    With `chat=False` the messages' texts are joined with newlines and continued as plain text.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    chat: bool = True

    def needs(self) -> frozenset[Capability]:
        """What a backend must be able to do to serve this."""
        wanted: set[Capability] = {"chat" if self.chat else "complete"}
        s = self.sampling
        if s.top_k:
            wanted.add("top_k")
        if s.stop:
            wanted.add("stop")
        if s.grammar is not None:
            wanted.add("grammar")
        if s.json_schema is not None:
            wanted.add("json_schema")
        if s.top_logprobs is not None:
            wanted.add("token_logprobs")
        if s.logit_bias:
            wanted.add("logit_bias")
        return frozenset(wanted | s.rules.needs() if s.rules is not None else wanted)


class Piece(NamedTuple):
    """A part of an answer that is still being written, with its tokens' log-probabilities where they were asked for."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


class ModelInfo(Record):
    """Who answers: written into every result.

    Attributes:
        name: As the user named it.
        engine: "llama.cpp", "torch", "openai", "fake".
        digest: SHA-256 of the weights; for endpoints a hash of address and model name. Part of the cache key.
        quantization: e.g. "Q8_0", "float32"; "" where unknown.
        engine_version: Version of the library that ran it.
        context: Tokens that fit into one sequence; 0 where unknown.
        capabilities: What it can do, sorted.
        settings: Anything else that may change its text (LoRA, threads do not), as plain JSON.
    """

    name: str
    engine: str
    digest: str
    quantization: str = ""
    engine_version: str = ""
    context: int = 0
    capabilities: tuple[Capability, ...] = ()
    settings: dict[str, Any] = {}

    def require(self, *wanted: Capability) -> None:
        """Raises CapabilityError, before any work, for what is asked and cannot be done."""
        missing = [w for w in wanted if w not in self.capabilities]
        if missing:
            raise CapabilityError(
                f"model '{self.name}' ({self.engine}) cannot do: {', '.join(missing)}",
                hint=HINTS.get(missing[0], f"It can do: {', '.join(self.capabilities) or 'nothing'}"),
            )


class Backend(Protocol):
    """One way to run a model.

    A backend may also have `stream(request)`, an async generator of `Piece`s that ends with the Response.

    Attributes:
        info: Who it is and what it can do.
        concurrency: How many calls in flight it makes good use of (slots, or a limiter's ceiling).
    """

    info: ModelInfo
    concurrency: int

    async def generate(self, request: Request) -> Response:
        """Answer one request. Raises ModelError, `retryable` where waiting may help."""
        ...

    async def logprobs(self, prompt: str, continuation: str) -> tuple[TokenLogprob, ...]:
        """Exact natural-log probability of each token of `continuation` after `prompt` (plain text, no template)."""
        ...

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit-length sentence vectors, shape (len(texts), dimensions), float32."""
        ...

    async def close(self) -> None:
        """Free memory, close sockets."""
        ...
