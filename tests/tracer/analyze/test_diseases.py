"""What `analyze` says first of programs with one known disease each: diseases/ has them, and says what is wrong with each and
what cures it. They differ from what is healthy by large factors, so that a busy machine changes nothing."""

import json
import os
import re
import subprocess

import pytest

from known_diseases import DISEASES, KERNEL, PROGRAMS, missing
from tracing import BUILD, TRACE, meta, query, trace

PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(not list((BUILD / "lib").glob("snakefish/_snakefish*.so")), reason="the extension is not built")


def named(diseases, long=()):
    marks = {name: [pytest.mark.skipif(bool(missing(name)), reason=str(missing(name)))] for name in diseases}
    return [pytest.param(name, marks=marks[name] + [pytest.mark.long] * (name in long)) for name in diseases]


def record_program(db, name, *options):
    env = dict(os.environ, PYTHONPATH=str(BUILD / "lib"))
    env.pop("SNAKEFISH_TRACE", None)
    done = subprocess.run([TRACE, "record", "-o", db, *options, "--", PYTHON, PROGRAMS / f"{name}.py", "sick"], env=env,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    return done


def check_first_sentence(db, expected):
    done = trace("analyze", db)
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[0]
    said = query(db, "SELECT disease, sentence, gain FROM advice ORDER BY rank")
    assert said[0][:2] == (expected.disease, first) and expected.words in first and expected.cure in first, said
    assert 1 <= len(said) <= 3 and len({name for name, *_ in said}) == len(said)
    assert [list(row.values()) for row in json.loads(trace("analyze", "--json", db).stdout)["advice"]] == list(map(list, said))
    for _, sentence, gain in said:
        promised = re.findall(r": at least (\d+\.\d)x$", sentence)
        assert promised == ([] if gain is None else [f"{gain:.1f}"]) and (gain is None or gain >= 1.1)
    return said


@pytest.mark.parametrize("name", named(DISEASES))
def test_the_first_sentence_names_the_disease(db, name):
    record_program(db, name, *DISEASES[name].options)
    check_first_sentence(db, DISEASES[name])


@pytest.mark.parametrize("name", named(KERNEL, long=("large_results", "oversubscription")))  # they do without it, above
def test_with_the_kernels_view_the_first_sentence_names_the_disease(db, name):
    record_program(db, name, *KERNEL[name].options)
    if meta(db, "kernel_view") != "complete":
        pytest.skip(meta(db, "kernel_view"))
    check_first_sentence(db, KERNEL[name])


def test_of_a_healthy_program_nothing_stands_out(db):
    """On a machine that has other work to do, its work was on no CPU for much of the time, which it cannot change."""
    record_program(db, "healthy")
    said = query(db, "SELECT count(*) FROM advice") and json.loads(trace("analyze", "--json", db).stdout)["advice"]
    assert [row["disease"] for row in said] in (["none"], ["no cpu"])
    assert said[0]["sentence"].startswith(("nothing stands out", "what looks like work was on no CPU"))
    assert said[0]["gain"] is None


@pytest.mark.parametrize("name", ["slow_consumer", "oversubscription", "tiny_imap"])
def test_where_nobody_knows_how_much_a_cure_gains_no_gain_is_promised(db, name):
    record_program(db, name)
    assert check_first_sentence(db, DISEASES[name])[0][2] is None


@pytest.mark.parametrize("name", ["large_results", "large_forks"])
def test_where_the_cure_takes_the_whole_disease_away_a_gain_is_promised(db, name):
    record_program(db, name)
    assert check_first_sentence(db, DISEASES[name])[0][2] >= 1.1
