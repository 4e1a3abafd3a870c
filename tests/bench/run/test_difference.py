"""Where a wrong output differs from the right one."""
from bench.run.difference import first


def test_the_first_line_that_differs_is_shown_as_expected_and_as_got():
    assert first(b"a\nb\nc\n", b"a\nx\ny\n") == "line 2: expected 'b', got 'x'"
    assert first(b"\x00\xff\n", b"\x00\xfe\n") == r"line 1: expected '\x00\xff', got '\x00\xfe'"


def test_an_output_that_ends_too_soon_or_too_late_is_told():
    assert first(b"a\nb", b"a") == "line 2: expected 'b', got the end"
    assert first(b"a", b"a\nb") == "line 2: expected the end, got 'b'"


def test_a_long_line_is_shown_where_it_differs():
    said = first(b"0" * 1000 + b"1" + b"2" * 1000, b"0" * 1000 + b"7" + b"2" * 1000)
    assert "'...000012222...'" not in said and len(said) < 200
    assert "00012222" in said and "00072222" in said and said.count("...") == 4


def test_without_the_right_output_the_wrong_one_is_shown():
    assert first(None, b"abc\ndef") == "it begins with 'abc'"


def test_outputs_of_which_the_first_part_is_the_same():
    assert first(b"a" * (2 << 20), b"a" * (2 << 20) + b"b").startswith("not in its first")
