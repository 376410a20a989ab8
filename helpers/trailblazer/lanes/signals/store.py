"""The store of a suite, and the briefing that is made of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from trailblazer.database.suites import SuiteStore
from trailblazer.lanes.signals.scenario import Scenario
from trailblazer.signals.briefing import Assignment, Finding, Known, Symptom, generate_briefing
from trailblazer.signals.dispatcher import Context

_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+")
MOST_PATTERNS = 10


class Store(SuiteStore):
    """What a suite knows, and its briefing."""

    def briefing(self, scenario: Scenario, suite_id: str, phase: str, contexts: Sequence[Context]) -> str:
        """Return the briefing of a batch, made of one snapshot of what the suite knows."""
        now = self.knowledge()
        known = Known(
            scenario=scenario.name,
            suite_id=suite_id,
            phase=phase,
            counts={
                "in all": len(scenario.cases),
                "in this batch": len(contexts),
                "triaged": now.triaged,
                "clusters investigated": len(now.findings),
            },
            symptoms=[Symptom(*one) for one in now.symptoms],
            assignments=[Assignment(name, case, tuple(members)) for name, case, members in now.clusters],
            findings=[Finding(*one) for one in now.findings],
            errors=Counter(_VARYING.sub("N", case.error) for case in scenario.cases).most_common(MOST_PATTERNS),
        )
        return generate_briefing(known)
