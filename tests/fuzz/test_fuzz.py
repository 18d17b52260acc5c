"""Each fuzzer over its whole corpus, and then for some seconds on its own (`make fuzz`: a minute)."""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOP = HERE.parents[1]
BUILD = TOP / os.environ.get("BUILD", "build")
SECONDS = 5


@pytest.mark.parametrize("name", sorted(source.stem.removeprefix("fuzz_") for source in HERE.glob("fuzz_*.c")))
def test_fuzz(name, tmp_path):
    corpus = HERE / "corpus" / name
    assert list(corpus.iterdir()), f"{corpus} is empty"
    command = [BUILD / "fuzz" / f"fuzz_{name}", f"-max_total_time={SECONDS}", "-timeout=10", f"-artifact_prefix={tmp_path}/"]
    result = subprocess.run([*command, tmp_path, corpus], cwd=TOP, capture_output=True, text=True, timeout=300)
    print(result.stderr[-4000:])
    assert result.returncode == 0
