"""Peak memory, read from outside while a program runs."""
import subprocess

from bench.run import memory


class NoLifeline:
    folder = None

    def __call__(self, pgid):
        pass


def test_a_program_that_ends_before_the_first_pause_is_over_has_been_read(monkeypatch):
    monkeypatch.setattr(memory, "EVERY_S", 60)
    peak = memory.PeakPss(NoLifeline())
    with subprocess.Popen(["sleep", "1"], start_new_session=True) as program:
        peak(program.pid)
        program.wait()
        peak(0)
    assert peak.readings == 1 and peak.peak_bytes > 0 and peak.processes == 1
