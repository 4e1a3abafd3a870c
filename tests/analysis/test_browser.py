"""The report in a real browser: no errors, no network, sorting, dark, narrow, alternative texts."""
import base64
import shutil

import pytest

pytestmark = pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("Rscript")),
                                reason="no chromium (Debian's package) or no Rscript")


def open_all(browser):
    browser.js("document.querySelectorAll('details').forEach(one => { one.open = true; })")


def test_every_figure_is_there_and_says_what_it_shows(browser):
    pictures = browser.js("[...document.querySelectorAll('figure img')].map(i => [i.alt, i.naturalWidth])")
    assert len(pictures) >= 12
    for alt, width in pictures:
        assert len(alt) > 20 and width > 300, alt
    assert browser.js("document.images.length") == len(pictures)


def test_the_first_screen_says_the_verdict_and_what_is_wrong(browser):
    for selector in ".verdict", ".badges", ".machine":
        assert browser.js(f"document.querySelector('{selector}').getBoundingClientRect().bottom") < 900, selector


@pytest.mark.parametrize("width, height", [(1400, 900), (390, 844)])
def test_the_three_questions_are_on_the_first_screen(browser, width, height):
    browser.look_as(width)
    for selector in ".answers .faster", ".answers .sure", ".answers .where":
        assert browser.js(f"document.querySelector('{selector}').getBoundingClientRect().bottom") <= height, selector
    assert browser.js("document.querySelector('.answers').innerText").index("How sure?") > 0


def test_everything_else_is_closed_and_a_link_opens_it(browser):
    assert browser.js("[...document.querySelectorAll('details.section')].every(d => !d.open)")
    browser.click("nav a[href='#scaling']")
    assert browser.js("document.querySelector('#scaling').closest('details').open")
    assert browser.js("document.querySelector('#scaling').getBoundingClientRect().height") > 300


TIMES = "#comparison details:nth-of-type(2) table"  # of snakefish against multiprocessing
COLUMN = f"[...document.querySelector('{TIMES}').tBodies[0].rows].map(r => r.cells[%d].textContent)"


def test_a_click_sorts_a_table_and_another_one_turns_it_round(browser):
    head = f"{TIMES} thead th:nth-child(3)"
    open_all(browser)
    before = browser.js(COLUMN % 2)
    numbers = [float(text.split()[0]) * {"us": 1e-3, "ms": 1, "s": 1e3}[text.split()[1]] for text in before]
    assert numbers != sorted(numbers) and len({text.split()[1] for text in before}) > 1
    browser.click(head + " button")
    assert browser.js(COLUMN % 2) == [text for _, text in sorted(zip(numbers, before), key=lambda pair: pair[0])]
    assert browser.js(f"document.querySelector('{head}').getAttribute('aria-sort')") == "ascending"
    browser.click(head + " button")
    assert browser.js(COLUMN % 2) == [text for _, text in sorted(zip(numbers, before), key=lambda pair: -pair[0])]
    browser.click(f"{TIMES} thead th:nth-child(1) button")
    assert browser.js(COLUMN % 0) == sorted(browser.js(COLUMN % 0))


def test_dark_is_dark_in_page_and_figures(browser):
    corner = ("figure img", 3, 3)
    assert browser.brightness_at("body", 3, 3) > 0.95 and browser.brightness_at(*corner) > 0.95
    browser.look_as(1100, dark=True)
    assert browser.brightness_at("body", 3, 3) < 0.15 and browser.brightness_at(*corner) < 0.15
    # letters are light where they were dark
    assert browser.js("getComputedStyle(document.body).color") == "rgb(228, 230, 232)"


@pytest.mark.parametrize("width", [320, 390, 700, 1100])
def test_nothing_is_wider_than_the_screen_but_what_scrolls(browser, width):
    browser.look_as(width)
    open_all(browser)
    assert browser.js("document.documentElement.scrollWidth") <= width
    assert browser.js("Math.max(...[...document.images].map(i => i.getBoundingClientRect().right))") <= width


def test_a_phone_gets_figures_of_its_own(browser):
    open_all(browser)
    wide = browser.js("[...document.images].map(i => i.currentSrc)")
    browser.look_as(390)
    narrow = browser.js("[...document.images].map(i => i.currentSrc)")
    assert all(a != b for a, b in zip(wide, narrow))
    # drawn for that width: those that are shown are so at nearly their own size
    sizes = browser.js("[...document.images].map(i => i.getBoundingClientRect().width / i.naturalWidth)")
    assert min(size for size in sizes if size) > 0.85 and sizes.count(0) == 1  # that of the timeline, which scripts draw


def test_what_is_closed_is_printed_open(browser):
    browser.js("document.querySelectorAll('details').forEach(one => { one.open = false; })")
    browser("Emulation.setEmulatedMedia", media="print")
    heights = browser.js("[...document.querySelectorAll('details > section, details > .table')].map(e => e.checkVisibility("
                         "{contentVisibilityAuto: true}) && e.getBoundingClientRect().height)")
    browser("Emulation.setEmulatedMedia", media="")
    assert len(heights) > 10 and min(heights) > 0


def test_it_prints(browser):
    browser.look_as(1100, dark=True)
    assert base64.b64decode(browser("Page.printToPDF")["data"]).startswith(b"%PDF-")
