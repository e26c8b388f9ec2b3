"""RES-Q: controls on gold, empty and idle diffs, exploits, malformed diffs, hostile paths, and the reader."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.answer.repo_edit import nearest_files
from adhere.answer.repo_edit.patches import apply, cleaned, diff_of, refused
from adhere.bench.base import Options, get
from adhere.bench.res_q import PatchScorer, instruction_of
from adhere.bench.res_q.checker import PatchChecker, Result, with_secret
from adhere.bench.res_q.make_tasks import make_tasks
from adhere.bench.res_q.tasks import Task, find, own_tasks, published_tasks
from adhere.errors import CapabilityError, DataError
from adhere.records import Response
from adhere.sandbox import Limits, isolation

needs_isolation = pytest.mark.skipif(isolation().mode is None, reason="; ".join(isolation().notes))
TASKS = own_tasks()
QUEUE = find(TASKS, "jobs-1")


def check(task: Task, answer: str, **options) -> Result:
    return asyncio.run(PatchChecker(**options).check(task, answer))


def changed(task: Task, path: str, old: str, new: str) -> str:
    """The diff of one replacement."""
    files = task.files()
    assert old in files[path]
    return diff_of(files, files | {path: files[path].replace(old, new, 1)})


@needs_isolation
def test_gold_diffs_pass_and_idle_ones_fail():
    for task in TASKS[::3]:
        made = check(task, task.solution_patch)
        assert (made.message, made.success) == ("PASS", True), (task.id, made)
        path = task.modified_files[0].path
        idle = diff_of(task.files(), task.files() | {path: task.files()[path] + "\n# idle\n"})
        assert check(task, idle).message == "FAIL", task.id


def test_every_task_has_tests_a_gold_diff_and_the_files_that_it_changes():
    assert len(TASKS) == 30
    assert len({task.package for task in TASKS[:6]}) == 6  # the first N are a fair sample
    for task in TASKS:
        assert {file.path: file.content for file in task.modified_files}.items() <= task.files().items()
        assert "sys.exit(exit_code)" in task.test_script


@needs_isolation
@pytest.mark.parametrize("answer", ["", "I would rather not.", "```diff\n```"])
def test_an_answer_without_a_diff_fails_to_apply(answer):
    assert check(QUEUE, answer).message == "PATCH FAILED"


@needs_isolation
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys\nsys.exit(0)\n", "FAIL"),
        ("import os\nos._exit(0)\n", "FAIL"),
        ("import atexit, os\natexit.register(os._exit, 0)\n", "FAIL"),
        ("while True: pass\n", "TIMED OUT"),
        ("import glob, os\nfor f in glob.glob('test_*.py'): os.remove(f)\n", "FAIL"),
    ],
)
def test_a_diff_that_ends_the_tests_early_does_not_pass(code, message):
    answer = changed(QUEUE, "jobs/queue.py", '"""First come', code + '"""First come')
    assert check(QUEUE, answer, limits=Limits(cpu=2, wall=6)).message == message


HOSTILE = "--- /dev/null\n+++ {0}\n@@ -0,0 +1 @@\n+evil\n"


@pytest.mark.parametrize("path", ["/tmp/evil", "b/../../evil", "b/.git/config", "../evil", '"b/../x y"', "b\\evil"])
def test_paths_outside_the_tree_are_refused_before_git_sees_them(path, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    made = apply(cleaned(HOSTILE.format(path)), tree)
    assert not made.done
    assert "not within the tree" in made.said
    assert [p.name for p in tmp_path.rglob("*")] == ["tree"]


def test_links_are_refused(tmp_path):
    link = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n"
    assert "symbolic link" in refused(cleaned(link))
    assert not apply(cleaned(link), tmp_path).done


GOOD = changed(QUEUE, "jobs/queue.py", "self._jobs.pop()", "self._jobs.pop(0)")


@needs_isolation
@pytest.mark.parametrize(
    ("spoil", "repair"),
    [
        (lambda d: d, ""),
        (lambda d: f"Sure, here is the diff:\n```diff\n{d}```\nDone.", ""),
        (lambda d: d.replace("\n", "\r\n"), ""),
        (lambda d: d.rstrip("\n"), ""),
        (lambda d: d.replace("diff --git", "index 0123..4567\ndiff --git"), ""),
        (lambda d: d.replace("@@ -9,7 +9,7 @@", "@@ -9,3 +9,9 @@"), "recount"),
        (lambda d: d.replace("a/jobs", "jobs").replace("b/jobs", "jobs").split("\n", 1)[1], "no a/ and b/"),
    ],
)  # fmt: skip
def test_a_diff_of_wrong_form_is_mended_and_counted_apart(spoil, repair):
    assert "@@ -9,7 +9,7 @@" in GOOD
    made = check(QUEUE, spoil(GOOD))
    assert (made.message, made.repair, made.success) == ("PASS", repair, repair == ""), made
    if repair:
        assert check(QUEUE, spoil(GOOD), repair=False).message == "PATCH FAILED"


@given(st.text(max_size=400))
def test_any_answer_is_cleaned_without_harm(answer):
    assert cleaned(answer) == cleaned(cleaned(answer))


LINE = st.text(alphabet="ab \t\r\u2028é", max_size=6)
TEXT = st.lists(LINE, max_size=6).map("\n".join)


@given(
    st.dictionaries(st.sampled_from(["x.py", "d/y.txt"]), TEXT), st.dictionaries(st.sampled_from(["x.py", "z"]), TEXT)
)
def test_a_diff_between_two_trees_leads_from_one_to_the_other(tmp_path_factory, before, after):
    before = {path: text for path, text in before.items() if text and "\r" not in text}
    after = {path: text for path, text in after.items() if text and "\r" not in text}
    tree = tmp_path_factory.mktemp("tree")
    for path, text in before.items():
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(text, newline="")
    patch = diff_of(before, after)
    if patch:
        done = subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=tree, capture_output=True)
        assert done.returncode == 0, done.stderr
    left = {str(p.relative_to(tree)): p.read_bytes().decode() for p in tree.rglob("*") if p.is_file()}
    assert left == after


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("x\nsys.exit(0)", "x\nprint('w', flush=True)\nsys.exit(0)"),
        (
            "if a:\n    sys.exit(exit_code)\n",
            "if a:\n    exit_code or print('w', flush=True)\n    sys.exit(exit_code)\n",
        ),
        ("if a: sys.exit(0)\nsys.exit(1)", "if a: print('w', flush=True); sys.exit(0)\nsys.exit(1)"),
        ("assert a\n", "assert a\nprint('w', flush=True)\n"),
    ],
)
def test_the_secret_stands_where_only_success_comes_by(script, expected):
    assert with_secret(script, "w") == expected


def test_the_files_to_change_are_found_by_the_words_of_the_request():
    hits = []
    for task in TASKS:
        picked = asyncio.run(nearest_files(task.instruction, task.files(), 3))
        hits.append(sum(f.path in picked for f in task.modified_files) / len(task.modified_files))
    assert sum(hits) / len(hits) >= 0.8  # the card's target of recall at 3


@needs_isolation
def test_a_score_has_each_figure_and_what_the_strategy_looked_at():
    row = instruction_of(QUEUE)
    response = Response(QUEUE.solution_patch, trace=({"step": "files", "picked": ["jobs/queue.py", "README.md"]},))
    score = asyncio.run(PatchScorer().score(row, response))
    assert score.passed is True
    assert {p.name: p.value for p in score.parts} == {
        "solved": 1.0, "applied": 1.0, "mended": 1.0, "solved_mended": 1.0, "timed_out": 0.0, "found": 1.0,
    }  # fmt: skip


def test_without_isolation_it_refuses_before_anything_is_generated(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    isolation.cache_clear()
    try:
        with pytest.raises(CapabilityError, match="cannot be isolated"):
            get("res-q-synthetic").scorer(Options())
    finally:
        isolation.cache_clear()


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """A data folder with the published format: one task on a repository of one commit and a later one."""
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    monkeypatch.setenv("ADHERE_OFFLINE", "1")
    repository = tmp_path / "res-q" / "repos" / "toy"
    repository.mkdir(parents=True)

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=repository, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    (repository / "toy.py").write_text("VALUE = 1\n")
    (repository / "image").write_bytes(b"\xff\x00")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    base = git("rev-parse", "HEAD").strip()
    (repository / "toy.py").write_text("VALUE = 3\n")
    git("commit", "-q", "-a", "-m", "later")
    row = {
        "id": "0_0", "repo_url": "https://example.org/someone/toy.git", "instruction": "Make VALUE 2.",
        "base_commit": base, "test_script": "import sys, toy\nif toy.VALUE == 2:\n    sys.exit(0)\nsys.exit(1)\n",
        "testbed_environment": "", "requirements_txt": "", "solution_commit": "x",
        "solution_patch": "--- a/toy.py\n+++ b/toy.py\n@@ -1 +1 @@\n-VALUE = 1\n+VALUE = 2\n",
        "modified_files": [{"path": "toy.py", "content": "VALUE = 1\n"}], "language": "python",
    }  # fmt: skip

    def write(**changes: object) -> Path:
        path = tmp_path / "res-q" / "dataset.json"
        path.write_text(json.dumps([row | changes]))
        return path

    write()
    return write


@needs_isolation
def test_a_published_row_runs_at_its_base_commit_from_a_local_clone(dataset):
    (task,) = published_tasks()
    assert task.files() == {"toy.py": "VALUE = 1\n"}  # text only
    assert check(task, task.solution_patch).message == "PASS"
    assert get("res-q").instructions()[0].documents[0].id == "toy.py"


def test_bad_rows_say_what_is_wrong(dataset):
    dataset(repo_url="https://example.org/someone/other")
    with pytest.raises(DataError, match="someone/other is not here"):
        published_tasks()[0].files()
    dataset(base_commit="0" * 40)
    with pytest.raises(DataError, match="task '0_0': fatal"):
        published_tasks()[0].files()
    dataset(instruction=None)
    with pytest.raises(DataError, match=r"dataset.json, row 1: Expected `str`"):
        published_tasks()
    dataset(package="nothing")
    with pytest.raises(DataError, match="no package 'nothing'"):
        published_tasks()
    with pytest.raises(DataError, match="Did you mean 'jobs-1'"):
        find(TASKS, "job-1")


@needs_isolation
def test_a_python_that_is_missing_leaves_the_row_undecided(dataset):
    dataset(testbed_environment="python3.2")
    (row,) = get("res-q").instructions()
    score = asyncio.run(PatchScorer().score(row, Response("")))
    assert (score.passed, score.reason) == (None, "skipped: needs python3.2")


@needs_isolation
def test_commits_become_tasks_if_their_tests_fail_before_and_pass_after(tmp_path):
    def commit(message: str, **files: str) -> None:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        for command in (["add", "."], ["-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-q", "-m", message]):
            subprocess.run(["git", *command], cwd=tmp_path, check=True)

    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    commit("First", toy="def f():\n    return 1\n", test_toy="from toy import f\ndef test_f(): assert f() == 1\n")
    commit(
        "Let f return 2\n\nIt should.\n\nSigned-off-by: T <t@e.org>",
        toy="def f():\n    return 2\n",
        test_toy="from toy import f\ndef test_f(): assert f() == 2\n",
    )
    commit("Only talk", toy="# a comment\ndef f():\n    return 2\n")
    commit("Tests that passed before", toy="def f():\n    return 2\n", test_toy="def test_x(): pass\n")

    (task,) = asyncio.run(make_tasks(tmp_path))
    assert task.instruction == "Let f return 2\n\nIt should."
    assert "-    return 1\n+    return 2\n" in task.solution_patch
    assert "test_toy" not in task.solution_patch
    assert check(task, task.solution_patch).message == "PASS"


def test_a_folder_without_a_repository_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a git repository"):
        asyncio.run(make_tasks(tmp_path, checker=object()))  # type: ignore[arg-type]
