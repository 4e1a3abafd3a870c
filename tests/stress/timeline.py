"""How fluid the report's timeline is with 100,000 spans, in a real browser (Debian: chromium).

    python3 tests/stress/timeline.py [--spans N] [--frames N]

Traces a program with so many spans and draws its page. Then zooms in each frame, and measures the time from frame to frame and
that of drawing alone. Times mean something only where nothing else runs, and fail nothing.
It fails where the page is 5 MB or larger, or where spans are missing. The last line: "N passed, N failed, N skipped".
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(TOP, "tests", "analysis")]

from browser import Browser  # noqa: E402

PROGRAM = """
import sys
import snakefish
from snakefish import trace
def loop(count):
    for i in range(count // 10):
        with trace.span("outer"):
            for k in range(9):
                with trace.span(f"inner {k}"):
                    pass
with trace.session(sys.argv[1]):
    child = snakefish.Thread(lambda: loop(int(sys.argv[2]) // 2))
    child.start()
    loop(int(sys.argv[2]) // 2)
    child.join()
"""
FRAMES = """(async () => {
    const timeline = document.querySelector('.timeline').timeline, canvas = timeline.canvas;
    const box = canvas.getBoundingClientRect();
    const frame = () => new Promise(requestAnimationFrame);
    const spans = timeline.data.rows.reduce((n, row) => n + row.start.length, 0);
    const update = timeline.update.bind(timeline), drawn = [], frames = [];
    timeline.update = () => { const from = performance.now(); update(); drawn.push(performance.now() - from); };
    canvas.focus();
    let last = await frame();
    for (let i = 0; i < %d; i++) {
        const deltaY = i %% 40 < 20 ? -90 : 90;  // twenty steps in, twenty out, each about another place
        canvas.dispatchEvent(new WheelEvent('wheel', {deltaY, bubbles: true, cancelable: true,
                                                      clientX: box.x + box.width * (0.3 + i %% 7 / 10), clientY: box.y + 60}));
        const now = await frame();
        frames.push(now - last);
        last = now;
    }
    const from = performance.now();
    timeline.part('search').value = 'inner 2';
    timeline.search();
    return {spans, frames, drawn, found: timeline.hits.length, search: performance.now() - from};
})()"""


def quantiles(times):
    times = sorted(times)
    return f"{times[len(times) // 2]:.1f} ms, the slowest of a hundred {times[len(times) * 99 // 100]:.1f} ms"


def measure(folder, spans, frames):
    """What is wrong: sentences."""
    database, page = os.path.join(folder, "run.db"), os.path.join(folder, "page")
    env = {**os.environ, "PYTHONPATH": os.path.join(BUILD, "lib")}
    subprocess.run([sys.executable, "-c", PROGRAM, database, str(spans)], env=env, check=True)
    start = time.monotonic()
    subprocess.run(["Rscript", os.path.join(TOP, "analysis", "report.R"), "--trace", database, "-o", page], check=True,
                   stdout=subprocess.DEVNULL)
    seconds, size = time.monotonic() - start, os.path.getsize(os.path.join(page, "index.html"))
    browser = Browser(os.path.join(folder, "browser"))
    browser.open(os.path.join(page, "index.html"))
    browser.look_as(1100)
    browser.js("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    browser.js("document.querySelector('.timeline canvas').scrollIntoView({block: 'center'})")
    seen = browser.js(FRAMES % frames)
    problems = browser.problems
    browser.close()
    print(f"timeline: {seen['spans']:,} spans, page of {size / 1e6:.1f} MB in {seconds:.1f} s; from frame to frame "
          f"{quantiles(seen['frames'])}; drawing {quantiles(seen['drawn'])}; a search that finds {seen['found']:,} spans "
          f"{seen['search']:.0f} ms", flush=True)
    return problems + [sentence for wrong, sentence in (
        (size >= 5e6, f"the page has {size} bytes"), (seen["spans"] < spans, f"the page has {seen['spans']} of {spans} spans"),
        (len(seen["drawn"]) < frames * 0.9, f"{len(seen['drawn'])} of {frames} steps were drawn")) if wrong]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--spans", type=int, default=100000)
    parser.add_argument("--frames", type=int, default=400)
    options = parser.parse_args()
    if not (shutil.which("chromium") and shutil.which("Rscript")):
        print("skip timeline: no chromium (Debian's package) or no Rscript\n0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        wrong = measure(folder, options.spans, options.frames)
    for sentence in wrong:
        print(f"FAIL {sentence}")
    print(f"{int(not wrong)} passed, {int(bool(wrong))} failed, 0 skipped")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
