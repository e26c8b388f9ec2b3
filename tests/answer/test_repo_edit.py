"""The strategy `repo_edit`: forms of edits, what models get wrong in them, and trying again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.answer.code_words import code_words
from adhere.answer.repo_edit import RepoEdit
from adhere.answer.repo_edit.edits import FORMATS, EditError, check_syntax, edited
from adhere.errors import UsageError
from adhere.records import Document, Instruction, Message, Response

FILES = {"pkg/a.py": "def f():\n    return 1\n\n\ndef g():\n    return 1\n", "pkg/b.py": "X = 1\n"}


def block(path: str, search: str, replace: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


class Scripted:
    """Answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Message, ...]] = []

    async def answer(self, instruction: Instruction) -> Response:
        self.asked.append(instruction.messages)
        return Response(self.answers.pop(0))


def request(text: str = "Let f return 2.") -> Instruction:
    documents = tuple(Document(content, id=path) for path, content in FILES.items())
    return Instruction("t", (Message("user", text),), documents=documents)


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ("search_replace", block("pkg/a.py", "def f():\n    return 1\n", "def f():\n    return 2\n")),
        ("search_replace", "```\n" + block("pkg/a.py", "def f():\n    return 1\n", "def f():\n    return 2\n") + "```"),
        ("search_replace", block("**File: `a.py`**", "def f():  \n    return 1\n", "def f():\n    return 2\n")),
        ("whole_file", f"pkg/a.py\n```python\n{FILES['pkg/a.py'].replace('1', '2', 1)}```\n"),
        ("diff", "--- a/pkg/a.py\n+++ b/pkg/a.py\n@@ -1,2 +1,2 @@\n def f():\n-    return 1\n+    return 2\n"),
    ],
)
def test_each_form_of_edit_is_carried_out(form, answer):
    made = edited(answer, FILES, form)
    assert made == FILES | {"pkg/a.py": FILES["pkg/a.py"].replace("1", "2", 1)}


def test_an_empty_search_makes_a_new_file():
    assert edited(block("pkg/new.py", "", "Y = 2\n"), FILES, "search_replace")["pkg/new.py"] == "Y = 2\n"


@pytest.mark.parametrize(
    ("form", "answer", "said"),
    [
        ("search_replace", "no block", "no SEARCH/REPLACE block"),
        ("search_replace", block("pkg/a.py", "    return 1\n", "    return 2\n"), "occur 2 times in pkg/a.py"),
        ("search_replace", block("pkg/a.py", "return 9\n", "x\n"), "do not occur"),
        ("search_replace", block("pkg/a.py", "", "x\n"), "SEARCH part for pkg/a.py is empty"),
        ("search_replace", block("somewhere", "X = 1\n", "X = 2\n"), "names no file"),
        ("search_replace", block("pkg/c.py", "X = 1\n", "X = 2\n"), "no file pkg/c.py"),
        ("search_replace", block("pkg/b.py", "X = 1\n", "X = 1\n"), "changes nothing"),
        ("whole_file", "pkg/a.py: all of it", "no file in the answer"),
        ("diff", "--- a/pkg/a.py\n+++ b/pkg/a.py\n@@ -1 +1 @@\n-no\n+yes\n", "does not apply"),
        ("diff", "nothing", "does not apply: no diff in the answer"),
    ],
)
def test_what_cannot_be_carried_out_says_what_is_wrong(form, answer, said):
    with pytest.raises(EditError, match=said):
        edited(answer, FILES, form)


@pytest.mark.parametrize("path", ["../evil.py", "/etc/evil.py", "a/../../evil.py"])
@pytest.mark.parametrize("form", FORMATS)
def test_no_edit_names_a_file_outside(form, path):
    answer = {
        "search_replace": block(path, "", "x\n"),
        "whole_file": f"{path}\n```\nx\n```",
        "diff": f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n",
    }[form]
    try:
        made = edited(answer, FILES, form)
    except EditError:
        return
    assert not [name for name in made if name.startswith("/") or ".." in name]


@given(st.text(alphabet="<=>` \nSEARCHxyzpkg/a.py", max_size=200), st.sampled_from(FORMATS))
def test_any_answer_gives_an_edit_or_an_edit_error(answer, form):
    try:
        assert edited(answer, FILES, form) != FILES
    except EditError as error:
        assert error.message


def test_a_file_that_is_no_python_any_more_is_an_error_with_its_line():
    with pytest.raises(EditError, match=r"pkg/b.py is no longer valid Python: .* in line 2"):
        check_syntax(FILES, FILES | {"pkg/b.py": "X = 1\ndef (\n"})
    check_syntax(FILES, FILES | {"notes.txt": "def ("})


def test_a_failed_attempt_is_told_and_tried_again():
    right = block("pkg/a.py", "def f():\n    return 1\n", "def f():\n    return 2\n")
    model = Scripted("sorry?", right)
    made = asyncio.run(RepoEdit(model, max_files=0).answer(request()))
    assert made.text.startswith("diff --git a/pkg/a.py b/pkg/a.py\n")
    assert "-    return 1\n+    return 2\n" in made.text
    assert [m.role for m in model.asked[1]] == ["user", "assistant", "user"]
    assert "no SEARCH/REPLACE block" in model.asked[1][-1].text
    assert [s["error"] for s in made.trace if s["step"] == "edit"] == [
        "There is no SEARCH/REPLACE block in the answer",
        "",
    ]


def test_when_all_attempts_fail_the_answer_is_empty():
    made = asyncio.run(RepoEdit(Scripted("a", "b", "c"), retries=2).answer(request()))
    assert made.text == ""
    assert sum(s["step"] == "edit" for s in made.trace) == 3


def test_only_the_files_that_the_request_is_about_are_shown():
    model = Scripted("x", "y")
    asyncio.run(RepoEdit(model, max_files=1).answer(request("Set X to 2.")))
    assert "pkg/b.py" in model.asked[0][0].text
    assert "pkg/a.py" not in model.asked[0][0].text


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="unknown edit format 'dif'"):
        RepoEdit(Scripted(), edit_format="dif")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has no documents"):
        asyncio.run(RepoEdit(Scripted()).answer(Instruction.of("x")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wordCount", "word count"),
        ("word_count", "word count"),
        ("HTTPServer2", "http server 2"),
        ("naïve x", "naïve x"),
    ],
)
def test_identifiers_come_apart_into_words(text, words):
    assert code_words(text) == words
