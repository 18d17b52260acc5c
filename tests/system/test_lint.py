"""What tools say of the source: the same checks as `make lint`, the slow ones excepted."""

import subprocess

import pytest
from kit.place import SCRIPTS, TOP
from mutate_spine import SAFEGUARDS


@pytest.mark.parametrize("check", ["format", "clang", "shell", "manual"])
def test_lint(check):
    result = subprocess.run([SCRIPTS / "lint", check], capture_output=True, text=True, timeout=600)
    print(result.stdout, result.stderr)
    assert result.returncode == 0


@pytest.mark.parametrize(("what", "name", "words", "_"), SAFEGUARDS, ids=lambda words: None)
def test_safeguards_are_found(what, name, words, _):
    """Those that make mutate takes away."""
    assert (TOP / name).read_text().count(words) == 1, what
