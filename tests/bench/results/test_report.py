"""`python3 -m bench report`: the page, and what is said where there is none."""
import shutil

import pytest

from bench.results import report
from bench.run.choice import Usage


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no Rscript")
def test_the_page_is_written(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    bench.run("--quick", "--filter", "injected", "--runtimes", "sequential,multiprocessing", "--blocks", 2, "--workers", 2)
    out, _ = bench("report", bench.db, "-o", tmp_path / "page")
    assert out.splitlines()[-1] == str(tmp_path / "page" / "index.html")
    assert (tmp_path / "page" / "speedup.pdf").exists()
    assert "no bench database" in bench("report", tmp_path / "none.db", "-o", tmp_path / "page", code=2)[1]


def test_without_r_a_sentence_says_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Usage, match="no Rscript"):
        report.report(["bench.db"], [], [], "page")
