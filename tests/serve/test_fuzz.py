"""Schemathesis writes requests after the server's own OpenAPI document, sound ones and broken ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from serving import running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """One run of 20 seconds against echoes, whose answers cost nothing."""
    place: Path = tmp_path_factory.mktemp("fuzz")
    (place / "schemathesis.toml").write_text("")
    with running("echo", strategies=["best_of_n(n=2)"], max_body=200_000) as url:
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", url.replace("/v1", "/openapi.json"),
            # Not `positive_data_acceptance`: some rules join two fields (top_logprobs needs logprobs), which a
            # JSON schema could say only at the price of a document that nobody can read.
            "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
            "response_schema_conformance,negative_data_rejection,unsupported_method",
            "--phases", "examples,coverage,fuzzing", "--max-time", "20", "--mode", "all", "--seed", "1",
            "--request-timeout", "20", "--workers", "1", "--no-color", "--generation-database", "none",
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=place)


def test_no_request_of_the_fuzzer_breaks_a_promise_of_the_document(found: subprocess.CompletedProcess[str]) -> None:
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]


def test_the_document_names_the_models_and_every_route() -> None:
    with running("echo", strategies=["best_of_n(n=2)"]) as url:
        document = httpx2.get(url.replace("/v1", "/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert schemas["ChatRequest"]["properties"]["model"] == {"enum": ["echo", "echo+best_of_n(n=2)"]}
    assert {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/metrics"} <= set(document["paths"])
    assert json.dumps(document).count("$ref") > 10
