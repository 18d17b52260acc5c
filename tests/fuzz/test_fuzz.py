"""Each fuzzer over its whole corpus, and then for some seconds on its own (`make fuzz`: a minute); as many at a time as there
are processors."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOP = HERE.parents[1]
BUILD = TOP / os.environ.get("BUILD", "build")
SECONDS = 5


def fuzz(name, folder):
    corpus = HERE / "corpus" / name
    command = [BUILD / "fuzz" / f"fuzz_{name}", f"-max_total_time={SECONDS}", "-timeout=10", f"-artifact_prefix={folder}/"]
    return subprocess.run([*command, folder, corpus], cwd=TOP, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """{name: the run of a fuzzer}, of all that were chosen."""
    names = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        yield {name: pool.submit(fuzz, name, tmp_path_factory.mktemp(name)) for name in names}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", sorted(source.stem.removeprefix("fuzz_") for source in HERE.glob("fuzz_*.c")))
def test_fuzz(name, runs):
    corpus = HERE / "corpus" / name
    assert list(corpus.iterdir()), f"{corpus} is empty"
    result = runs[name].result()
    print(result.stderr[-4000:])
    assert result.returncode == 0
