"""Which build has asserts, and when a warning ends it: the commands that make would run."""

import os
import shutil
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def commands(*arguments, **more):
    """The compiler's commands of a build from nothing, by what they compile or link."""
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "CI")}
    done = subprocess.run(["make", "-n", "-B", "V=1", *arguments], cwd=TOP, env={**clean, **more}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode == 0, done.stdout
    found = [line for line in done.stdout.splitlines() if " -std=gnu11 " in line]
    assert found, done.stdout
    return found


def test_a_release_has_no_asserts(tmp_path):
    assert all(" -DNDEBUG" in line for line in commands(f"B={tmp_path}", "all"))


@pytest.mark.parametrize("variables", [["ASSERTS=yes"], ["SAN=address,undefined"]])
def test_a_build_for_tests_has_asserts(tmp_path, variables):
    found = commands(f"B={tmp_path}", *variables, "ext", "tracer", "core-tests", "tracer-tests")
    assert not [line for line in found if "NDEBUG" in line]


def test_the_c_tests_of_a_release_link_objects_with_asserts(tmp_path):
    found = [line for line in commands(f"B={tmp_path}", "core-tests") if "tests/core" in line]
    assert found and not [line for line in found if "NDEBUG" in line or f"{tmp_path}/obj" in line]


def test_fuzzers_have_asserts(tmp_path):
    assert not [line for line in commands(f"B={tmp_path}", "fuzzers") if "NDEBUG" in line]


@pytest.mark.skipif(not os.path.exists("/usr/sbin/bpftool") or not shutil.which("clang"), reason="no clang, or no bpftool")
def test_an_ordinary_user_whose_path_has_no_sbin_builds_the_kernels_view_too(tmp_path):
    path = os.pathsep.join(place for place in os.environ["PATH"].split(os.pathsep) if "sbin" not in place)
    found = commands(f"B={tmp_path}", "tracer", PATH=path)
    assert [line for line in found if "tracer/kernel/kernel.c" in line]
    assert not [line for line in found if "kernel_missing.c" in line]


def test_what_is_missing_is_said_once_and_before_anything_is_compiled(tmp_path):
    done = subprocess.run(["make", f"B={tmp_path}", "CC=no-such-compiler", "ext", "tracer"], cwd=TOP, text=True,
                          env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode != 0
    assert len(done.stdout.splitlines()) == 1 and "cannot be built without a C compiler (no-such-compiler)." in done.stdout
    assert subprocess.run(["make", "CC=no-such-compiler", "help"], cwd=TOP, stdout=subprocess.DEVNULL).returncode == 0


def test_a_warning_is_an_error_in_continuous_integration_only(tmp_path):
    assert all(" -Werror " in line for line in commands(f"B={tmp_path}", "ext", CI="true"))
    assert not [line for line in commands(f"B={tmp_path}", "ext") if "-Werror" in line]
