"""Give the cases of a scenario to agents, and score what they answer.

  trailblazer calibrate scenario=ptp-mock adapter=stub dispatch=batch-file
  trailblazer calibrate --scenario ptp-mock --dispatch file
  trailblazer calibrate --scenario ptp-mock --provider claude
  trailblazer calibrate --check my-scenario      is that scenario good?

With --dispatch file whoever watches the folder answers. With --provider an agent is started for each signal.

Each case is triaged, equal symptoms make clusters, and one case of each cluster is investigated. An agent gets each
of these as a signal: files that it reads, and one that it writes (`trailblazer signals`). The scorecard of 20 metrics
goes to stdout. Exit code 6: a signal or a metric failed."""

from __future__ import annotations

import argparse

from trailblazer.verbs.dispatch import add_resume_words


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the words of a calibration."""
    what = parser.add_argument_group("what")
    what.add_argument("--scenario", metavar="NAME", help="ptp-mock, ptp-mock-30, or the folder of your own")
    what.add_argument("--suite", metavar="ID", help="the suite that the signals join (a new one)")
    what.add_argument("--notes", metavar="TEXT", help="words for the manifest")
    how = parser.add_argument_group("how")
    how.add_argument("--adapter", choices=["stub", "agent"], help="who answers: the stub knows the answers (agent)")
    how.add_argument("--provider", metavar="NAME", help="the agent that is started for each signal: claude, codex, …")
    how.add_argument("--model", metavar="M", help="the agent's model")
    how.add_argument("--dispatch", choices=["stdin", "file", "batch-file"], help="how a signal gets there (file)")
    how.add_argument("--parallel", type=int, metavar="N", help="how many signals at once (dispatch.workers)")
    how.add_argument("--batch-size", type=int, metavar="N", help="how many signals a batch has (signals.batch_size)")
    how.add_argument("--timeout", metavar="T", help="of one signal: 90, 10m (signals.timeout_minutes)")
    how.add_argument("--retries", type=int, metavar="N", help="more attempts at what failed (signals.retries)")
    how.add_argument("--token-budget", type=float, metavar="T", help="past so many tokens no new signal is written")
    seen = parser.add_argument_group("what is shown")
    seen.add_argument("--cost-report", action="store_true", default=None, help="tokens and cost by step and case")
    seen.add_argument("--events", choices=["-"], help="-: the events on stdout too, as in the folder's events.ndjson")
    seen.add_argument("--json", action="store_true", help="a line of JSON first (launch) and last (done) on stdout")
    other = parser.add_argument_group("instead")
    add_resume_words(other)
    other.add_argument("--check", metavar="SCENARIO", help="look at a scenario, and say every mistake in it")
    other.add_argument("--dry-run", action="store_true", help="say what would be asked, and ask nothing")


def run(words: argparse.Namespace) -> int:
    """Carry a calibration out and return the exit code of the house."""
    from trailblazer.events import Console
    from trailblazer.lanes.signals.scenario import read_scenario
    from trailblazer.reports.answers import print_answer

    if words.check:
        scenario = read_scenario(words.check)
        if words.json:
            print_answer("calibrate", "ready", [scenario.folder], {"cases": len(scenario.cases)})
        else:
            print(scenario.headline())
        return 0
    from trailblazer.config import load_config
    from trailblazer.dispatch.story import carry_out
    from trailblazer.dispatch.work import Answer, Show
    from trailblazer.lanes.signals.request import read_request, stored_request
    from trailblazer.lanes.signals.work import SignalsWork, resumed
    from trailblazer.record.folder import find_folder
    from trailblazer.record.manifest import read_manifest
    from trailblazer.reports.preview import preview

    config = load_config()
    apart = {"quiet", "verbose", "resume", "retry_failed", "force", "check", "dry_run", "events", "json"}
    said = {name: value for name, value in vars(words).items() if value is not None and name not in apart}
    earlier = words.resume or words.retry_failed
    folder = find_folder(config.places, earlier) if earlier else None
    request = resumed(stored_request(read_manifest(folder)), said) if folder else read_request(config, said)
    show = Show(120.0, words.verbose, words.events is not None, Answer.JSON if words.json else Answer.OWN)
    only_failed = words.retry_failed is not None
    work = SignalsWork(config, request, resumes=folder, only_failed=only_failed, force=words.force, show=show)
    if words.dry_run:
        asked = list(work.waiting())
        json_of = show.json_of(work.command)
        return preview(iter(asked), len(asked), work.noun, work.scenario.name, Console(), json_of=json_of)
    return carry_out(work)
