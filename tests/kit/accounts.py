"""Other accounts than the one that runs the tests."""

import os
import subprocess

import pytest

from kit.wait import GENEROUS

NOBODY = 65534


def needs_open_folder(folder, account=NOBODY):
    """Skips where the account cannot get at the tree: a home of root is closed to it."""
    words = ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", "test", "-x", folder]
    if os.geteuid() == 0 and subprocess.run(words, check=False, timeout=GENEROUS).returncode != 0:
        pytest.skip(f"other accounts may not enter {folder}")
