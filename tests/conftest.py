"""What holds for every test: one thread for the numerics, one locale, no thread or process left behind.

Warnings are errors (`filterwarnings` in pyproject.toml).
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator

# Before numpy is first imported: with small arrays, and more so beside other work, threads only cost time.
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_pool] = "1"
# Sorting, messages and number formats as everywhere; a test that wants another locale sets it itself.
for _category in [name for name in os.environ if name == "LANGUAGE" or name.startswith("LC_")]:
    del os.environ[_category]
os.environ["LANG"] = os.environ["LC_ALL"] = "C.UTF-8"
os.environ["TZ"] = "UTC"
# Shells let what they start in the background ignore Ctrl-C, and children inherit that; those of the tests must not.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "stemwright",
    derandomize=True,  # the same examples on every machine and every day
    deadline=None,  # speed is measured in tests/bench, never asserted here
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("stemwright")

_GRACE_SECONDS = 2.0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep together what shares something slow to make, in time, and in one process where several share the tests.

    That is a module, for its fixtures; or in a module that goes through the styles, the tests of one style.
    """
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        name = item.nodeid.partition("::")[0]
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "style" in item.callspec.params:
            name += f":{item.callspec.params['style']}"
        groups.setdefault(name, []).append(item)
    items[:] = [item for group in groups.values() for item in group]
    if config.pluginmanager.hasplugin("xdist"):
        for name, group in groups.items():
            for item in group:
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """A test that leaves a thread or a child process behind fails, after a short grace to wind down."""
    threads_before = set(threading.enumerate())
    children_before = set(multiprocessing.active_children())
    yield
    give_up = time.monotonic() + _GRACE_SECONDS
    while True:
        left: list[str] = [thread.name for thread in threading.enumerate() if thread not in threads_before]
        left += [child.name for child in multiprocessing.active_children() if child not in children_before]
        if not left:
            return
        if time.monotonic() > give_up:
            pytest.fail(f"left running: {', '.join(left)}: stop and join what the test started")
        time.sleep(0.01)
