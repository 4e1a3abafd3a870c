"""README.md, kept true: its programs are run by the tests, its table of events is printed by the collector.

    python3 tests/readme.py --update      refresh the table of events
"""

import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
README = os.path.join(TOP, "README.md")
BUILD = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
TABLE = re.compile(r"(<!-- events:.*?-->\n)(.*?)(<!-- /events -->)", re.S)


def text():
    with open(README, encoding="utf-8") as file:
        return file.read()


def programs():
    """(program, what it prints), for each Python block that is followed by its output."""
    return re.findall(r"```python\n(.*?)```\n```text\n(.*?)```", text(), re.S)


def events_in_readme():
    return TABLE.search(text()).group(2)


def events():
    collector = os.path.join(BUILD, "bin", "snakefish-trace")
    return subprocess.run([collector, "events"], check=True, capture_output=True, text=True).stdout


def update():
    table = events()
    with open(README, "r+", encoding="utf-8") as file:
        new = TABLE.sub(lambda match: match.group(1) + table + match.group(3), file.read())
        file.seek(0)
        file.write(new)
        file.truncate()


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit(__doc__)
    update()
