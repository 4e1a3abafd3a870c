"""The report of made-up databases, and a browser that has it open."""
import pathlib
import subprocess

import pytest

from browser import Browser

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("page")
    subprocess.run(["Rscript", str(HERE / "make_page.R"), str(directory)], check=True, timeout=300)
    return directory / "index.html"


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    found.open(page)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def nothing_goes_wrong(browser):
    browser.look_as(1100)
    yield
    assert browser.problems == []
