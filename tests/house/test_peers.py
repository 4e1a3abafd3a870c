"""The comparison of CPython's own tests, plain and traced, finds what differs."""
import os
import sys
import types

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "stress"))

import peers  # noqa: E402

sys.path.remove(os.path.join(TESTS, "stress"))

PASSED, FAILED, SKIPPED = ("passed", ""), ("failed", "why"), ("skipped", "")


@pytest.fixture
def differences(monkeypatch):
    """Tests that are run again pass."""
    monkeypatch.setattr(peers, "run", lambda names, limit: ({names[0]: PASSED}, "", True))
    return peers.Differences(types.SimpleNamespace(again=3, limit=1))


@pytest.mark.parametrize("plain, traced, sums", [
    (PASSED, PASSED, (1, 0, 0)), (SKIPPED, SKIPPED, (0, 0, 1)), (FAILED, FAILED, (1, 0, 0)), (PASSED, FAILED, (0, 1, 0)),
    (PASSED, SKIPPED, (0, 1, 0)), (FAILED, PASSED, (1, 0, 0))])  # the last: it passes without a trace too, sometimes
def test_a_result_that_a_test_never_has_without_a_trace_is_a_failure(differences, plain, traced, sums):
    differences.compare("t", plain, traced)
    assert (differences.passed, differences.failed, differences.skipped) == sums


def test_a_process_that_ended_early_fails_the_tests_that_it_did_not_run(differences, capsys):
    plain, traced = {"C.a": PASSED, "C.b": PASSED}, {"C.a": PASSED}
    differences.take("C", ["C.a", "C.b"], (plain, "", True), (traced, "Segmentation fault", True), [])
    assert (differences.passed, differences.failed) == (2, 1)  # C.a and the trace
    assert "Segmentation fault" in capsys.readouterr().out


def test_what_is_wrong_with_a_trace_is_a_failure(differences, capsys):
    differences.take("C", [], ({}, "", True), ({}, "", True), ["the books are not closed"])
    assert differences.failed == 1 and "the books are not closed" in capsys.readouterr().out


def test_every_test_is_noted_with_its_result(tmp_path, monkeypatch):
    (tmp_path / "some_tests.py").write_text(
        "import unittest\nclass T(unittest.TestCase):\n"
        "    def test_passes(self): pass\n    def test_fails(self): self.fail('so')\n    def test_breaks(self): 1 / 0\n"
        "    def test_skips(self): self.skipTest('')\n"
        "    def test_parts(self):\n        with self.subTest(n=1): self.fail()\n"
        "class U(unittest.TestCase):\n    @classmethod\n    def setUpClass(cls): raise OSError('none')\n"
        "    def test_it(self): pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found, said, in_time = peers.run(["some_tests"], 60)
    assert in_time and {name.rpartition(".")[2]: result for name, (result, _) in found.items()} == {
        "test_passes": "passed", "test_fails": "failed", "test_breaks": "error", "test_skips": "skipped", "test_parts": "failed",
        "U)": "error"}, said
