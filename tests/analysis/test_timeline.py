"""The interactive timeline in a real browser: zoom, pan, hover, search, the switches, and the picture where it cannot be."""
import shutil

import pytest

pytestmark = pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("Rscript")),
                                reason="no chromium (Debian's package) or no Rscript")
CANVAS = "document.querySelector('.timeline canvas')"
TIMELINE = "document.querySelector('.timeline').timeline"
SHOWN = ("[...document.querySelectorAll('.still, .live')].filter(e => getComputedStyle(e).display !== 'none')"
         ".map(e => e.className)")
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(autouse=True)
def whole_run(browser, nothing_goes_wrong):
    browser.js("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    browser.js(DRAWN)  # what has been opened gets its size
    browser.js(f"(t => {{ t.part('search').value = ''; t.search(); t.show(0, t.data.length); }})({TIMELINE})")
    browser.js(f"{CANVAS}.scrollIntoView({{block: 'center'}})")
    assert window(browser) == [0, 100e6]


def window(browser):
    """The nanoseconds that it shows, once it has drawn them."""
    return browser.js(f"{DRAWN}.then(() => [{CANVAS}.dataset.from, {CANVAS}.dataset.to].map(Number))")


def mouse(browser, kind, x, y, **more):
    """At so many pixels right of and below the canvas's corner."""
    left, top = browser.js(f"(r => [r.x, r.y])({CANVAS}.getBoundingClientRect())")
    browser("Input.dispatchMouseEvent", type=kind, x=left + x, y=top + y, **more)


def press(browser, key):
    for kind in "keyDown", "keyUp":
        browser("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 and kind == "keyDown" else "",
                windowsVirtualKeyCode={"Enter": 13, "ArrowRight": 39, "ArrowLeft": 37}.get(key, 0))


def place(browser, name):
    """Where the first span of that name is on the canvas, in pixels: the middle of it."""
    return browser.js(f"""(t => {{
        for (const row of t.data.rows) for (let i = 0; i < row.start.length; i++) if (t.data.names[row.label[i]] === '{name}')
          return [t.x((row.start[i] + row.end[i]) / 2), t.y(row.y + 0.5)];
    }})({TIMELINE})""")


def pixels(browser):
    return browser.js(f"{DRAWN}.then(() => {CANVAS}.toDataURL())")


def tip(browser):
    return browser.js("(tip => tip.hidden ? null : tip.innerText)(document.querySelector('.timeline .tip'))")


def test_the_buttons_zoom_about_the_middle_and_back(browser):
    browser.click(".timeline .closer")
    assert window(browser) == [25e6, 75e6]
    browser.click(".timeline .closer")
    browser.click(".timeline .wider")
    assert window(browser) == [25e6, 75e6]
    browser.click(".timeline .whole")
    assert window(browser) == [0, 100e6]


def test_no_step_is_lost_when_several_come_within_one_frame(browser):
    part = f"{TIMELINE}.part"
    browser.js(f"{part}('closer').click(); {part}('closer').click(); {part}('wider').click()")
    assert window(browser) == [25e6, 75e6]


def test_the_wheel_zooms_about_the_pointer_once_the_timeline_was_clicked(browser):
    x = browser.js(f"{TIMELINE}.x(20e6)")
    browser.js("document.activeElement.blur()")
    mouse(browser, "mouseWheel", x, 60, deltaX=0, deltaY=-240)
    assert window(browser) == [0, 100e6]  # the page's wheel
    browser.js(f"{CANVAS}.scrollIntoView({{block: 'center'}})")
    browser.js(f"{CANVAS}.focus()")
    mouse(browser, "mouseWheel", x, 60, deltaX=0, deltaY=-240)
    start, end = window(browser)
    assert 0 < start < 20e6 < end < 100e6 and abs((20e6 - start) / (end - start) - 0.2) < 0.01


def test_dragging_moves_the_shown_time(browser):
    browser.click(".timeline .closer")
    window(browser)
    step = browser.js(f"(t => t.x(10e6) - t.x(0))({TIMELINE})")
    mouse(browser, "mousePressed", 600, 60, button="left", clickCount=1)
    mouse(browser, "mouseMoved", 600 + step, 60, button="left", buttons=1)
    mouse(browser, "mouseReleased", 600 + step, 60, button="left", clickCount=1)
    start, end = window(browser)
    assert abs(start - 15e6) < 0.3e6 and abs(end - 65e6) < 0.3e6


def test_keys_move_and_zoom_and_say_what_is_shown(browser):
    browser.js(f"{CANVAS}.focus()")
    press(browser, "+")
    press(browser, "ArrowRight")
    assert window(browser) == [35e6, 85e6]
    assert browser.js("document.querySelector('.timeline .status').textContent") == "35.00 ms to 85.00 ms (50.0 ms)"
    press(browser, "ArrowLeft")
    press(browser, "-")
    assert window(browser) == [0, 100e6]


def test_the_pointer_tells_the_span_that_it_is_on(browser):
    mouse(browser, "mouseMoved", *place(browser, "set up the tables"))
    lines = tip(browser).split("\n")
    assert lines[:2] == ["set up the tables (span)", "program.py (100)"]
    assert lines[2].startswith("starts at ") and lines[3].startswith("took ")
    mouse(browser, "mouseMoved", *place(browser, "run left"))
    assert tip(browser).split("\n")[:2] == ["run left", "left (101)"]
    mouse(browser, "mouseMoved", 5, 5)
    assert tip(browser) is None


def test_a_search_finds_spans_and_processes_and_goes_from_one_to_the_next(browser):
    search = "document.querySelector('.timeline .search')"
    browser.js(f"{search}.focus()")
    browser("Input.insertText", text="MERGE")
    status = "document.querySelector('.timeline .status').textContent"
    assert browser.js(status) == "2 spans found. Enter goes to the next."
    press(browser, "Enter")
    assert browser.js(status).startswith("1 of 2: merge left") and "merge left" in tip(browser)
    browser.js(f"{TIMELINE}.show(0, 1000)")
    browser.click(".timeline .next-hit")
    assert browser.js(status).startswith("2 of 2: merge right")
    x, _ = place(browser, "merge right")
    assert browser.js(f"{TIMELINE}.left") < x < browser.js(f"{TIMELINE}.right")  # it was far outside of what was shown
    browser.js(f"{search}.value = ''; {search}.focus()")
    browser("Input.insertText", text="right (102)")
    found = browser.js(f"{TIMELINE}.hits.map(h => {TIMELINE}.data.names[h.row.label[h.i]])")
    assert "run right" in found and "set up the tables" not in found
    browser("Input.insertText", text="nothing of that name")
    assert browser.js(status) == "Nothing of that name is shown."


@pytest.mark.parametrize("switch", ["path", "messages"])
def test_the_critical_path_and_the_messages_are_on_a_switch(browser, switch):
    before = pixels(browser)
    browser.click(f".timeline .{switch}")
    other = pixels(browser)
    browser.click(f".timeline .{switch}")
    assert other != before and pixels(browser) == before


def test_it_is_drawn_anew_when_its_section_opens_and_when_the_screen_turns(browser):
    browser.js(f"{CANVAS}.closest('details.section').open = false")
    browser.look_as(390)
    browser.js(f"{CANVAS}.closest('details.section').open = true")
    assert window(browser) == [0, 100e6]
    assert 300 < browser.js(f"{CANVAS}.getBoundingClientRect().width") <= 390
    assert browser.js(f"{CANVAS}.width") == browser.js(f"Math.round({CANVAS}.getBoundingClientRect().width)")


def test_dark_is_dark(browser):
    light = browser.brightness_at(".timeline canvas", 2, 2)
    browser.look_as(1100, dark=True)
    browser.js(DRAWN)
    assert browser.brightness_at(".timeline canvas", 2, 2) < 0.2 < 0.9 < light


def test_scripts_that_hold_a_name_with_markup_stay_data(browser):
    assert browser.js("[...document.querySelectorAll('.timeline script')].every(s => JSON.parse(s.textContent).length > 0)")


def test_paper_shows_the_picture(browser):
    assert "live timeline" in browser.js(SHOWN) and "still" not in browser.js(SHOWN)
    browser("Emulation.setEmulatedMedia", media="print")
    shown = browser.js(SHOWN)
    browser("Emulation.setEmulatedMedia", media="")
    assert "still" in shown and not any("live" in name for name in shown)


def test_without_scripts_the_picture_is_there(browser, page):
    browser("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    shown = browser.js(SHOWN)
    browser("Emulation.setScriptExecutionDisabled", value=False)
    browser.open(page)
    assert "still" in shown and not any("live" in name for name in shown)
