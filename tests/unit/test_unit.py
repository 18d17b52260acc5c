"""Runs the unit tests: each program that the Makefile built from a test_*.c beside this file is one test. A line that it
begins with "figure: " is one."""

import os
import subprocess
from pathlib import Path

import pytest
from kit.figures import figure

HERE = Path(__file__).parent
TOP = HERE.parents[1]
BUILD = TOP / os.environ.get("BUILD", "build")
FIGURE = "figure: "


@pytest.mark.parametrize("name", sorted(source.stem for source in HERE.glob("test_*.c")))
def test_unit(name):
    result = subprocess.run([BUILD / "unit" / name], cwd=TOP, capture_output=True, text=True, timeout=300)
    print(result.stdout, result.stderr)
    for line in result.stdout.splitlines():
        if line.startswith(FIGURE):
            figure(line.removeprefix(FIGURE))
    assert result.returncode == 0
