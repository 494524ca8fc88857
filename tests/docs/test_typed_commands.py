"""The commands of a page work one after another in one folder, each with less to do."""

import contextlib
import os
import re
import signal
import subprocess
import sys

import pytest
from documented_commands import PAGES, ROOT, commands
from typed_page import reasons_not_to_run, typed

# Found without bash, which would fail the collection of all tests on a page that it cannot read.
OF_PUFFER = [
    page for page in PAGES if re.search(r"^ {4,}(\$ )?puffer ", (ROOT / page).read_text(), re.M)
]
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "SDL_VIDEODRIVER": "dummy",  # no windows
    "WANDB_MODE": "offline",
}
LIMIT_S = 540


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", OF_PUFFER)
def test_the_commands_of_a_page_work(page, tmp_path):
    if not typed(page):
        reasons = {reason for each in commands(page) for reason in reasons_not_to_run(each)}
        pytest.skip(f"every command: {', '.join(sorted(reasons))}")
    words = [sys.executable, str(ROOT / "tests" / "typed_page.py"), page]
    process = subprocess.Popen(
        words, cwd=tmp_path, env=os.environ | SETTINGS, start_new_session=True
    )
    try:
        status = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        pytest.fail(f"still running after {LIMIT_S} s", pytrace=False)
    finally:  # end what it leaves
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert status == 0
