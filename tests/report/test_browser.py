# SPDX-License-Identifier: GPL-2.0-or-later
"""The report in headless Chromium: it renders, its keys work, it asks the network for nothing."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=4000",
)

#: Presses keys and measures, then tells the page around what came of it.
PROBE = """
<script>
window.failures = [];
window.addEventListener("error", (e) => { window.failures.push(e.message); });
window.addEventListener("load", () => setTimeout(() => {
  const root = document.documentElement;
  const press = (key) =>
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const paper = () => getComputedStyle(root).getPropertyValue("--paper").trim();
  const found = { before: paper(), width: root.clientWidth };
  press("t"); found.after = paper(); found.label = document.getElementById("theme").textContent;
  press("t"); found.again = paper();
  press("d"); found.open = document.querySelectorAll("details[open]").length;
  found.details = document.querySelectorAll("details").length;
  const wider = (box) => box.scrollWidth > box.clientWidth + 1;
  const tables = [...document.querySelectorAll(".scroll")];
  found.tables = tables.length;
  found.wider = tables.filter(wider).map((box) => box.querySelector("table").id);
  found.marked = document.querySelectorAll(".scroll.wide").length;
  const hints = [...document.querySelectorAll(".scroll > .hint")];
  found.hints = hints.filter((hint) => hint.offsetHeight).length;
  found.stops = document.querySelectorAll(".scroll[tabindex]").length;
  press("d");
  found.closed = document.querySelectorAll("details[open]").length;
  const links = [...document.querySelectorAll("nav a")].map((a) => a.getBoundingClientRect());
  found.navigation = Math.max(...links.map((box) => box.right));
  found.lines = new Set(links.map((box) => Math.round(box.top))).size;
  press("4"); found.hash = location.hash;
  found.resources = performance.getEntriesByType("resource").map((entry) => entry.name);
  found.failures = window.failures;
  found.wide = root.scrollWidth;
  const text = [...document.querySelectorAll(".plot text")];
  found.smallest = Math.min(...text.map((t) => t.getBoundingClientRect().height).filter(Boolean));
  setTimeout(() => {
    found.drawn = Boolean(document.querySelector("#stage canvas"));
    found.shown = document.getElementById("stage").dataset.shown || null;
    found.noWebGL = !document.getElementById("stage-note").hidden;
    parent.postMessage(JSON.stringify(found), "*");
  }, 1500);
}, 300));
</script>
"""

#: A window of the browser is at least 500 pixels wide, a frame in it can be as narrow as a phone.
FRAME = """
<!DOCTYPE html><iframe src="page.html" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>
window.addEventListener("message", (event) => {{
  const result = document.createElement("pre");
  result.id = "probe";
  result.textContent = event.data;
  document.body.append(result);
}});
</script>
"""


def chromium(arguments, profile, timeout=120):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.fail("chromium is not installed; on Debian: apt-get install chromium")
    return subprocess.run(
        [browser, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def probed(page, tmp_path_factory):
    return probe(page, tmp_path_factory.mktemp("probe"), 1280)


def probe(page, folder, width):
    copy = folder / "page.html"
    copy.write_text(page.read_text().replace("</head>", PROBE + "</head>"))
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(width=width))
    dom = chromium(["--window-size=1400,950", "--dump-dom", frame.as_uri()], folder / "profile")
    (text,) = re.findall(r'<pre id="probe">(.*?)</pre>', dom, flags=re.DOTALL)
    return json.loads(html.unescape(text))


def test_nothing_fails_and_nothing_is_fetched(probed):
    assert probed["failures"] == []
    assert [name for name in probed["resources"] if not name.startswith("data:")] == []


def test_keys(probed):
    assert {probed["before"], probed["after"]} == {"#ffffff", "#14171b"}
    assert probed["again"] == probed["before"]
    assert probed["label"] == ("Light" if probed["after"] == "#14171b" else "Dark")
    assert probed["open"] == probed["details"] > 0
    assert probed["hash"] == "#frames"


def test_atoms_are_drawn_or_it_says_why_not(probed):
    # a machine without a graphics card draws in software, unless that is switched off too
    assert probed["drawn"] != probed["noWebGL"]
    if probed["drawn"]:
        assert probed["shown"].endswith("final frame")


def test_everything_fits_on_a_laptop(probed):
    assert probed["wide"] <= probed["width"] == 1280
    # closed details included: they were opened to be measured
    assert probed["wider"] == []
    assert (probed["hints"], probed["stops"], probed["closed"]) == (0, 0, 0)
    assert probed["navigation"] <= 1280
    assert probed["lines"] == 1


@pytest.mark.parametrize("width", [768, 390])
def test_narrow_pages_scroll_their_tables_and_say_so(page, tmp_path, width):
    found = probe(page, tmp_path, width)
    assert found["failures"] == []
    assert found["wide"] <= found["width"] == width
    assert found["navigation"] <= width
    # some tables fit, and those that do not have a hint and can be reached by key
    assert 0 < len(found["wider"]) < found["tables"]
    assert found["hints"] == found["stops"] == found["marked"] == len(found["wider"])
    assert "table-verdict" not in found["wider"]
    assert found["smallest"] >= 10  # pixels: figures scroll before their text is too small


def test_figure_text_is_legible(probed):
    assert probed["smallest"] >= 10  # pixels, line height of the smallest label


@pytest.mark.parametrize("width", [1280, 390])
def test_it_renders(page, tmp_path, width):
    target = tmp_path / "page.png"
    arguments = [f"--window-size={width},1600", f"--screenshot={target}", page.as_uri()]
    chromium(arguments, tmp_path / "profile")
    pixels = np.asarray(Image.open(target).convert("L"))
    assert pixels.shape[1] == width
    dark = pixels < 128
    assert 0.005 < dark.mean() < 0.3
    # something in every third of the page
    assert all(part.any() for part in np.array_split(dark, 3))


def test_it_prints(page, tmp_path):
    target = tmp_path / "page.pdf"
    chromium([f"--print-to-pdf={target}", page.as_uri()], tmp_path / "profile")
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    # two figures in a row, details closed: open, they alone fill several pages
    pages = content.count(b"/Type /Page\n") + content.count(b"/Type /Page ")
    assert 2 <= pages <= 9
