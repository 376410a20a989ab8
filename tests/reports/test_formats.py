"""The formats of a report: sizes, escaping, schemas, and where they are written."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from lanes.embed.project import Project
from reports.recorded import HOSTILE_ITEM, large_dispatch, rich_dispatch, small_dispatch
from trailblazer import schemas
from trailblazer.paths import Places
from trailblazer.plain import plain
from trailblazer.record.verification import verify_folder
from trailblazer.reports.closing import report_at_close
from trailblazer.reports.course.model import Report
from trailblazer.reports.course.reading import read_report
from trailblazer.reports.formats.document import document_of
from trailblazer.reports.formats.junit import draw_junit
from trailblazer.reports.formats.markdown import MOST_BYTES, draw_markdown
from trailblazer.reports.formats.prometheus import draw_prometheus
from trailblazer.reports.page.assembling import page_of
from trailblazer.reports.page.html import draw_html

LONG = "exit 2: " + "a reason that is rather long and says what happened there " * 10
_SAMPLE = re.compile(r'[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} -?[0-9.e+]+')


@pytest.mark.parametrize("reason", ["", LONG], ids=["good", "failed"])
@pytest.mark.parametrize(("planned", "most"), [(1_700, 500_000), (20_000, 2_000_000)])
def test_a_page_stays_small(places: Places, planned: int, most: int, reason: str) -> None:
    """A page of 1,700 items is below 500 KB, and one of many thousands below 2 MB, whatever became of them."""
    page = draw_html(page_of(read_report(large_dispatch(places, planned, reason))))
    assert len(page) < most


def test_a_page_needs_nothing_else(rich: Report) -> None:
    """No address of another machine is in a page, and its policy allows no request at all."""
    page = draw_html(page_of(rich)).decode()
    assert [] == re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "<script>alert" not in page


def test_the_json_report_holds_against_its_schema(rich: Report) -> None:
    """The document has the verdict, the causes and the commands, and its schema describes it."""
    document = document_of(rich)
    jsonschema.validate(document, schemas.load("report"))
    assert "5 of 38 items failed; 32 done, 1 skipped" == document["verdict"]
    assert "trailblazer batch run --retry-failed 20261120T031700Z" == document["retry"]


def test_junit_is_xml_with_a_case_for_each_item(rich: Report) -> None:
    """JUnit counts failures and skipped items, and hostile names are attributes and nothing else."""
    root = ET.fromstring("".join(draw_junit(rich)))
    suite = root[0]
    assert ("38", "5", "1") == (suite.get("tests"), suite.get("failures"), suite.get("skipped"))
    assert plain(HOSTILE_ITEM) in [case.get("name") for case in suite]
    assert 5 == len(root.findall(".//failure"))


def test_prometheus_takes_every_line(rich: Report) -> None:
    """Each line is a comment or a sample, and no label names a dispatch: that would be a new series each time."""
    lines = "".join(draw_prometheus(rich)).splitlines()
    assert [] == [line for line in lines if not line.startswith("# ") and not _SAMPLE.fullmatch(line)]
    assert 'trailblazer_dispatch_items{lane="items",outcome="success"} 32' in lines
    assert rich.id not in "\n".join(lines)


def test_markdown_is_cut_and_shows_text_as_text(rich: Report, tmp_path: Path) -> None:
    """A job summary is below the limit of GitHub, and no id or reason becomes HTML, a link or a heading in it."""
    text = draw_markdown(page_of(rich))
    assert text.startswith("# 5 of 38 items failed")
    assert "<script>" not in text.replace("\\<", "")
    other = Places(tmp_path / "large", tmp_path / "large" / "var")
    assert len(draw_markdown(page_of(read_report(large_dispatch(other, 5_000, LONG)))).encode()) < MOST_BYTES


def test_a_report_that_cannot_be_made_is_one_warning(places: Places) -> None:
    """A damaged journal costs the page and one line, never the dispatch."""
    folder, said = small_dispatch(places), list[str]()
    (folder / "journal.ndjson").write_text("no journal\n")
    assert report_at_close(folder, lambda line, _colour="": said.append(line)) is None
    assert 1 == len(said)
    assert said[0].startswith("Warning: no report was written")


def test_a_dispatch_leaves_its_page_under_its_seal(project: Project) -> None:
    """A batch writes report.html before it is sealed, says where, and the verbs change nothing in the folder."""
    done = project.run("batch", "run", "--items", '["a","b"]', "--skip-preflight", "--", "false", "{{ item }}")
    page = project.dispatch / "report.html"
    assert 6 == done.code
    assert f"Report: {page}" in done.err
    assert f"To retry what failed: trailblazer batch run --retry-failed {project.dispatch.name}" in done.err
    for words in (["report"], ["report", "--format", "json"], ["history"]):
        assert 0 == project.run(*words).code
    assert [] == verify_folder(project.dispatch, None, "nobody").findings


def test_no_report_is_written_into_the_folder_of_a_dispatch(project: Project, places: Places) -> None:
    """A file in a dispatch folder is refused, and a new page goes to var/logs/reports."""
    folder = small_dispatch(Places(project.folder, project.folder / "var"))
    refused = project.run("report", "--output", str(folder / "mine.html"))
    assert (2, False) == (refused.code, (folder / "mine.html").exists())
    made = project.run("report")
    assert str(project.folder / "var" / "logs" / "reports" / f"{folder.name}.html") == made.where
    assert places.reports.name == "reports"


def test_the_index_and_the_history_know_every_dispatch(project: Project) -> None:
    """`report --index` has a row for each dispatch, and `history --json` holds against its schema."""
    rich_dispatch(Places(project.folder, project.folder / "var"))
    index = Path(project.run("report", "index").where)
    assert "20261119T031700Z" in index.read_text()
    document = json.loads(project.run("history", "--json").out)
    jsonschema.validate(document, schemas.load("history"))
    assert ["20261120T031700Z", "20261119T031700Z"] == [one["id"] for one in document["dispatches"]]


def test_a_file_for_prometheus_can_be_read_by_its_exporter(project: Project) -> None:
    """The file appears whole, and another user may read it."""
    small_dispatch(Places(project.folder, project.folder / "var"))
    target = project.folder / "trailblazer.prom"
    assert 0 == project.run("report", "--format", "prometheus", "-o", str(target)).code
    assert 0o644 == target.stat().st_mode & 0o777
