"""HTML, reStructuredText and markdown as markdown-like text with titles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailblazer.pipeline.html_text import read_html
from trailblazer.pipeline.text_files import as_content, rst_to_markdown


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h2>Big <em>news</em></h2><p>One\n two", "## Big news\n\nOne two"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>end", "- a\n- b\n  - c\n\nend"),
        ("<ol><li><p>a</p><p>more</p></li><li>b</li></ol>", "1. a\n  more\n2. b"),
        ("<pre class='x language-sql'>SELECT 1;\n  -- `two`</pre>", "```sql\nSELECT 1;\n  -- `two`\n```"),
        ("<pre>```</pre>", "````\n```\n````"),
        ("use <code>pip &amp; co</code> now", "use `pip & co` now"),
        (
            "<table><tr><th>a<th>b</tr><tr><td></td><td>1|2</td></tr></table>",
            "| a | b |\n| --- | --- |\n|  | 1\\|2 |",
        ),
        ("<table><tr><td>menu<td><h1>Page</h1><p>Text</td></tr></table>", "menu\n\n# Page\n\nText"),
        ("a<script>b</script><style>c</style><nav>d</nav>e", "ae"),
        ("a<br>b", "a\nb"),
        ("<nav>never closed <p>text", "never closed\n\ntext"),
        ("<div class='x navheader'><div>Prev</div>Up</div>a<div role=navigation>Next</div>", "a"),
        ("<div class=navbar>never closed<p>text", "never closed\n\ntext"),
        ("<h2>Name<a class=headerlink href='#name'>¶</a></h2>see <a href='#x'>x</a> ¶ 7", "## Name\n\nsee x ¶ 7"),
        ("<table><tr><td>a <a href='#b'>#</a><td>b</tr></table>", "| a | b |\n| --- | --- |"),
        ("<p>x < y &lt; z", "x < y < z"),
    ],
)
def test_html_keeps_the_shape_of_headings_lists_tables_and_code(html: str, expected: str) -> None:
    """HTML becomes Markdown that keeps the places at which it can be split well (E12)."""
    assert expected == read_html(html).text


def test_html_has_a_title_and_links() -> None:
    """The title is <title>, else the first heading; links are listed once, without fragments and scripts."""
    page = read_html("<title> A \n B </title><a href='x.html'>x</a><a href='#y'>y</a><a href='x.html'>z</a>")
    assert ("A B", ("x.html",)) == (page.title, page.links)
    assert "Head" == read_html("<p>x<h3>Head</h3>").title


@settings(deadline=None)
@given(st.lists(st.sampled_from([*"ab <>/&;", "<td>", "<tr>", "<table>", "<li>", "</ul>", "<pre>", "</pre>", "<h1>"])))
def test_any_markup_can_be_read(parts: list[str]) -> None:
    """No markup, however broken, is refused."""
    read_html("".join(parts))


def test_rst_titles_become_headings() -> None:
    """The order in which adornments appear is the level; an overline makes another kind; code is left alone."""
    rst = "=====\nTitle\n=====\n\nPart\n----\n\nText::\n\n   a\n   ---\n\nSmall\n~~~~~\n\nPart 2\n------\n"
    expected = "# Title\n\n## Part\n\nText::\n\n   a\n   ---\n\n### Small\n\n## Part 2\n"
    assert expected == rst_to_markdown(rst)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("intro\n\n## Second ##\n", "Second"),
        ("```\n# no\n```\n# Yes", "Yes"),
        ("Under\n=====\n", "Under"),
        ("nothing", "file"),
    ],
)
def test_the_title_of_markdown_is_its_first_heading(text: str, title: str) -> None:
    """The first heading outside code is the title, else the file's name."""
    assert title == as_content(text.encode(), "markdown", "file").title
