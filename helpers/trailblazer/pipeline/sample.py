"""A sample of real text from every Python: its language topics and the READMEs of installed packages."""

from __future__ import annotations

import email
import importlib.metadata
from collections.abc import Iterator
from dataclasses import replace

from trailblazer.paths import Places
from trailblazer.pipeline.documents import Document
from trailblazer.pipeline.normalize import NormalizeReport, write_run
from trailblazer.pipeline.text_files import as_content

_README_KINDS = {"text/markdown": "markdown", "text/x-rst": "rst", "text/plain": "rst", "": "rst"}


def normalize_sample(places: Places, topic_runs: int, source_system: str | None = None) -> Iterator[NormalizeReport]:
    """Write the topics as `topic_runs` runs of about equal size and the READMEs as one run; yield a report each.

    A run has the name of its letters (`python-topics-a-d`), or a number when there are more runs than letters.
    `source_system` replaces the source of every document. The same Python with the same packages gives the same bytes.
    """
    topics = list(read_topics())
    for rid, part in _split(topics, topic_runs):
        yield write_run(places, rid, _from(source_system, part))
    readmes = list(read_readmes())
    if readmes:
        yield write_run(places, "package-readmes", _from(source_system, readmes))


def _from(source_system: str | None, documents: list[Document]) -> list[Document]:
    """Return the documents with this source, or as they are without one."""
    if source_system is None:
        return documents
    return [replace(document, source_system=source_system) for document in documents]


def read_topics() -> Iterator[Document]:
    """Yield Python's language topics, each as a document, sorted by name."""
    from pydoc_data.topics import topics

    for name in sorted(topics):
        content = as_content(topics[name].encode(), "rst", name)
        if content.text.strip():
            yield Document(
                id=name,
                text_md=content.text,
                title=content.title,
                source_system="pydoc",
                links=content.links,
                body_repr="rst",
                meta={"command": f"python -m pydoc {name}"},
            )


def read_readmes() -> Iterator[Document]:
    """Yield the README of each installed package as a document, sorted by name."""
    seen: dict[str, Document] = {}
    for package in importlib.metadata.distributions():
        about = email.message_from_string(package.read_text("METADATA") or package.read_text("PKG-INFO") or "")
        name = about["Name"] or ""
        raw = about["Description"] or str(about.get_payload() or "")
        kind = _README_KINDS.get((about["Description-Content-Type"] or "").split(";")[0].strip().lower(), "text")
        content = as_content(raw.encode("utf-8", "replace"), kind, name)
        if name and name.lower() not in seen and content.text.strip():
            seen[name.lower()] = Document(
                id=name,
                text_md=content.text,
                title=f"{name} {about['Version']}",
                url=_home_page(about["Home-page"], about.get_all("Project-URL") or []),
                source_system="package-metadata",
                version=about["Version"],
                links=content.links,
                body_repr=kind,
                meta={"summary": about["Summary"] or ""},
            )
    for name in sorted(seen):
        yield seen[name]


def _home_page(home: str | None, urls: list[str]) -> str | None:
    """Return the home page of a package, or None."""
    named = dict(url.split(", ", 1) for url in urls if ", " in url)
    named = {label.lower(): url for label, url in named.items()}
    labels = ("documentation", "docs", "homepage", "home", "repository", "source", "source code", "github")
    page = home or next((named[label] for label in labels if label in named), None)
    return page if page and page.startswith(("http://", "https://")) else None


def _split(topics: list[Document], runs: int) -> Iterator[tuple[str, list[Document]]]:
    """Yield run ids with their documents, in alphabetical order; the runs are of about equal size."""
    letters: dict[str, list[Document]] = {}
    for topic in topics:
        letters.setdefault(topic.id[0].lower(), []).append(topic)
    by_letter = runs <= len(letters)
    groups = list(letters.values()) if by_letter else [[topic] for topic in topics]
    for number, part in enumerate(_share(groups, min(runs, len(groups))), start=1):
        first, last = part[0].id[0].lower(), part[-1].id[0].lower()
        span = first if first == last else f"{first}-{last}"
        yield f"python-topics-{span}" if by_letter else f"python-topics-{number:03d}", part


def _share(groups: list[list[Document]], parts: int) -> list[list[Document]]:
    """Return the groups, in order, as that many parts of about equal text length; no part is empty."""
    sizes = [sum(len(document.text_md) for document in group) for group in groups]
    shares: list[list[Document]] = [[] for _ in range(parts)]
    total, passed, part = sum(sizes), 0, 0
    for position, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        left = len(groups) - position
        is_full = passed + size / 2 > total * (part + 1) / parts
        if shares[part] and part + 1 < parts and (is_full or left == parts - part - 1):
            part += 1
        shares[part].extend(group)
        passed += size
    return shares
