"""Any run of tests ends with one line that sums up."""

from __future__ import annotations

import pytest


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the last line of `make test`: how many passed and how many failed, errors among them."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not config.option.collectonly:
        failed = len(reporter.stats.get("failed", [])) + len(reporter.stats.get("error", []))
        print(f"{len(reporter.stats.get('passed', []))} passed, {failed} failed")
