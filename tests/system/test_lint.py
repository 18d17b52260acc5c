"""What tools say of the source: the same checks as `make lint`, the slow ones excepted."""

import subprocess

import pytest
from kit.place import SCRIPTS


@pytest.mark.parametrize("check", ["format", "clang", "shell", "manual"])
def test_lint(check):
    result = subprocess.run([SCRIPTS / "lint", check], capture_output=True, text=True, timeout=600)
    print(result.stdout, result.stderr)
    assert result.returncode == 0
