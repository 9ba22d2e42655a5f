# SPDX-License-Identifier: GPL-2.0-or-later
"""What a screen reader is told, and that everything can be reached by key."""

from html.parser import HTMLParser

import pytest


class Elements(HTMLParser):
    """Start tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def of(self, tag, **wanted):
        wanted = {name.rstrip("_"): value for name, value in wanted.items()}
        return [a for t, a in self.found if t == tag and wanted.items() <= a.items()]


@pytest.fixture(scope="module")
def elements(page):
    return Elements(page.read_text())


def test_the_page_says_its_language_and_leads_to_its_content(elements):
    assert elements.of("html")[0]["lang"] == "en"
    assert elements.of("a", href="#main", class_="skip")
    assert elements.of("main", id="main")
    assert elements.of("nav")[0]["aria-label"] == "Sections"


def test_what_is_named_by_another_element_has_that_element(elements):
    ids = {attributes.get("id") for _, attributes in elements.found}
    named = [a["aria-labelledby"] for _, a in elements.found if "aria-labelledby" in a]
    sections, tables = elements.of("section"), elements.of("table")
    assert len(named) == len(sections) + len(tables) > 20
    assert set(named) <= ids
    assert {label["for"] for label in elements.of("label")} <= ids


def test_figures_are_images_with_words(elements):
    figures = elements.of("div", class_="plot")
    assert figures
    assert all(one["role"] == "img" and len(one["aria-label"]) > 20 for one in figures)


def test_headings_of_rows_and_columns(elements):
    headings = elements.of("th")
    assert {one.get("scope") for one in headings} == {"col", "row"}


def test_controls_say_what_they_do(elements):
    assert elements.of("button", id="theme")[0]["aria-label"] == "Switch to dark theme"
    (stage,) = elements.of("div", id="stage")
    assert (stage["role"], stage["tabindex"]) == ("application", "0")
    assert "arrow keys turn them, plus and minus zoom" in stage["aria-label"]


def test_a_dash_is_read_as_none(page):
    html = page.read_text()
    assert '<span aria-hidden="true">–</span><span class="unseen">none</span>' in html
    assert ">–</td>" not in html
