import csv
import io

import numpy as np
import pytest

from sheetlens.common.formats.delimited import LINE_LIMIT, Notes, Rows, read_lines

HEADER = "id\tcatalogNumber\tfamily\tlocality\n"


def read(text, delimiter=",", quote='"', columns=0, encoding="utf-8", line_end="\n"):
    """The rows, and what was odd; every line is a row, a part of one, or empty."""
    notes = Notes()
    data = text if isinstance(text, bytes) else text.encode()
    rows = list(Rows(read_lines(io.BytesIO(data), encoding, line_end, notes), delimiter, quote, columns, notes))
    assert notes.lines == notes.rows + notes.continued + notes.empty
    assert notes.rows == len(rows)
    return rows, notes.sentences()


def table(stray, rows=40, at=10, delimiter="\t"):
    """A table of which one locality is `stray`."""
    lines = [
        delimiter.join((str(n), f"US{n:05d}", "Lycopodiaceae", stray if n == at else "a place")) for n in range(rows)
    ]
    return HEADER.replace("\t", delimiter) + "\n".join(lines) + "\n"


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
@pytest.mark.parametrize(
    "stray", ['"El Yunque', '12" rock', '"quoted" town', '"', 'by the "river"', '"""', '"a" and "b', 'rock 12"']
)
def test_no_quote_swallows_rows(stray, delimiter):
    text = table(stray, delimiter=delimiter) + delimiter.join(("40", "US00040", "Ferns", 'end 12"')) + "\n"
    rows, _ = read(text, delimiter)
    assert [row[1] for row in rows[1:]] == [f"US{n:05d}" for n in range(41)]
    assert rows[11][3].strip('"') == stray.strip('"')


def test_what_is_not_as_it_should_be_is_said_with_its_line():
    assert read(table('"El Yunque'), "\t")[1] == [
        "1 line with a quotation mark that nothing closes, or with text behind a closing one, which were read as"
        " letters; the first is line 12"
    ]
    assert read("a,b\n1,2,3\n4\n5,,\n")[1] == [
        "1 line with more cells than the table has columns; the first is line 2",
        "1 line with fewer cells than the table has columns, the rest left empty; the first is line 3",
    ]
    assert read(table("a place"), "\t")[1] == []


def test_a_field_may_go_on_over_lines_that_are_no_rows():
    text = 'id,place,note\n1,"by the\nriver, left",x\n"odd\nid",y,z\n3,"one, two\n\nthree, four\nfive","say ""so"""\n'
    assert read(text)[0] == [
        ["id", "place", "note"],
        ["1", "by the\nriver, left", "x"],
        ["odd\nid", "y", "z"],
        ["3", "one, two\n\nthree, four\nfive", 'say "so"'],
    ]


SWALLOWING = (  # columns and delimiter -> the cells of one row each; a quote opens in one row and closes in a later one
    ['A12\tK1\t"El Yunque\tL', "\tK2\tPonce\tL", '\tK3\trock 12"\tL', "A13\tK4\tx\tL"],
    ['wood fern,https://a.ex/1.jpg,"El Yunque', "moss,https://a.ex/2.jpg,Ponce", 'moss,u,rock 12"', "fern,u,x"],
    ['http://h.ex/E1;K1;"El Yunque', "E2;K2;Ponce", 'E3;K3;rock 12"', "http://h.ex/E4;K4;x"],
    ['A12\t1\t1\t1\t1\t1\t"El\tL', '\t2\t2\t2\t2\t2\trock"\tL', "A13\t3\t3\t3\t3\t3\tx\tL"],
    ['A12|1|1|1|1|1|"El|L', '|2|2|2|2|2|rock"|L', "A13|3|3|3|3|3|x|L"],
    ['1\t1\t"El\tL', "2\t2", '3\t3\trock"\tL', "4\t4\tx\tL"],
    ['"K1', "K2", 'K3"', "K4"],
)


@pytest.mark.parametrize("lines", SWALLOWING)
def test_a_quote_that_closes_in_a_later_row_swallows_none_whatever_the_cells_are(lines):
    delimiter = next((one for one in "\t,;|" if one in lines[0]), ",")
    header = delimiter.join(f"column {n}" for n in range(lines[0].count(delimiter) + 1))
    rows, odd = read("\n".join([header, *lines]), delimiter)
    assert rows[1:] == [line.split(delimiter) for line in lines]
    assert odd[0].startswith("1 line with a quotation mark that closes only rows later, which was read as a letter")
    assert odd[0].endswith("; the first is line 2")


@pytest.mark.parametrize(
    ("cell", "columns", "unclear"),
    [
        ("labels:\n12, Peru, 1898\n13, Peru, 1899", 3, True),
        ("tall, shrub\n2, flowers white", 2, False),
        ("Flora of Peru\nDept. Junín, Tarma\nalt. 3000 m, in woods\nleg. Smith, 1899", 2, True),
        ("by the river\nleft bank", 4, False),
        ("12,5 cm\n13,5 cm", 2, False),
        ('{\n  "a": 1,\n  "b": 2\n}', 2, False),
    ],
)
def test_a_cell_that_closes_as_it_should_is_one_and_doubt_is_said(cell, columns, unclear):
    for place in range(1, columns):
        text, rows = io.StringIO(newline=""), [[f"{n}" for _ in range(columns)] for n in range(3)]
        rows[1][place] = cell
        csv.writer(text, lineterminator="\n").writerows(rows)
        found, odd = read(text.getvalue())
        assert found == rows
        assert not odd or (len(odd) == 1 and "cannot be told" in odd[0] and odd[0].endswith("the first is line 2"))
        assert bool(odd) == unclear


def test_quotes_behind_backslashes_are_read_where_the_cells_then_fit():
    assert read('a,b,c\n1,"say \\"hi, you\\" there",3\n')[0][1] == ["1", 'say "hi, you" there', "3"]


def test_quotes_over_two_cells_of_an_unquoted_table_are_letters():
    assert read('a\tb\tc\n1\t"from\tto"\n2\tx\ty\n', "\t")[0][1] == ["1", '"from', 'to"']


def test_whatever_a_csv_writer_writes_comes_back():
    random = np.random.default_rng(1)
    pieces = np.array(["", "a", "7", '"', ",", "\n", " ", "é", "''", "\t", "river, left", 'x"y', "\r\n", ";"])
    for columns in range(2, 9):
        cells = [["".join(random.choice(pieces, random.integers(0, 5))) for _ in range(columns)] for _ in range(200)]
        rows = [[f"US{n:05d}", *row] for n, row in enumerate(cells)]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([[f"column {n}" for n in range(columns + 1)], *rows])
        assert read(text.getvalue())[0][1:] == rows


def test_stray_quotes_anywhere_cost_no_row():
    random = np.random.default_rng(2)
    for _ in range(200):
        rows = [[f"US{n:05d}", *(f"text {random.integers(100)}" for _ in range(4))] for n in range(30)]
        for _ in range(random.integers(1, 6)):
            row, cell = rows[random.integers(30)], random.integers(1, 5)
            at = random.integers(0, len(row[cell]) + 1)
            row[cell] = row[cell][:at] + '"' + row[cell][at:]
        found, _ = read("a\tb\tc\td\te\n" + "".join("\t".join(row) + "\n" for row in rows), "\t")
        assert [row[0] for row in found[1:]] == [row[0] for row in rows]
        assert [len(row) for row in found] == [5] * 31


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings_and_line_ends_are_told_by_the_bytes(encoding, line_end):
    text = line_end.join(["name,place", *["Lycopodiacées,Málaga"] * 3, ""])
    rows, odd = read(text.encode(encoding))
    assert rows == [["name", "place"], *[["Lycopodiacées", "Málaga"]] * 3]
    assert ("Windows-1252" in " ".join(odd)) == (encoding in ("cp1252", "latin-1"))


@pytest.mark.parametrize("cell", ["by the\nriver", "a\n\n\n\nb", 'say "so"\nthere'])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_rows_may_end_otherwise_than_lines_within_quotes(cell, place):
    rows = [["url", "label", "locality"], ["a", "fern", "x"], ["b", "moss", "z"], ["c", "moss", "z"]]
    for number in (0, 1, 3):
        changed = [list(row) for row in rows]
        changed[number][place] = cell
        for line_end, inner in (("\r", "\n"), ("\n", "\r"), ("\r\n", "\n"), ("\r\n", "\r")):
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="\n\r").writerows(changed)
            written = line_end.join(line.replace("\n", inner) for line in text.getvalue().split("\n\r"))
            assert [[one.replace("\r", "\n") for one in row] for row in read(written)[0]] == changed


def test_stray_quotes_and_line_feeds_do_not_change_the_line_end_of_an_old_table():
    rows, _ = read('a,b\r1,12" rock\r2,"by the\nriver"\r3,c\r4,d\r')
    assert [row[0] for row in rows] == ["a", "1", "2", "3", "4"]


@pytest.mark.parametrize("said", ["UTF-16", "UTF-16LE", "utf-16-be"])
def test_what_was_called_utf_16_and_has_no_zero_bytes_is_not(said):
    assert read("Málaga,1\nb,2\n", encoding=said)[0] == [["Málaga", "1"], ["b", "2"]]
    assert read("羊齒,1\nb,2\n".encode("utf-16-le"), encoding=said)[0] == [["羊齒", "1"], ["b", "2"]]


@pytest.mark.parametrize("end", ["\x1a", "\x1a\x1a"])
def test_the_mark_that_old_programs_put_behind_a_text_is_no_row(end):
    assert read("a,b\r\n1,2\r\n" + end)[0] == [["a", "b"], ["1", "2"]]
    assert read("a,b\r\n1,2" + end)[0] == [["a", "b"], ["1", "2"]]
    assert read('a,b\n1,"\x1a"\n2,\x1a\n')[0] == [["a", "b"], ["1", "\x1a"], ["2", "\x1a"]]


def test_one_line_of_another_encoding_does_not_change_the_others():
    data = "é,1\n".encode() + "é,2\n".encode("latin-1") + "š,3\n".encode("cp1252") + b"x\x81,4\n"
    rows, odd = read(data)
    assert rows == [["é", "1"], ["é", "2"], ["š", "3"], ["x\x81", "4"]]
    assert odd[0].startswith("3 lines not in the encoding UTF-8, read as Windows-1252") and odd[0].endswith("line 2")


def test_what_was_called_latin_1_and_is_utf_8_is_read_as_that():
    rows, odd = read("Málaga,1\n".encode() + "Málaga,2\n".encode("latin-1"), encoding="ISO-8859-1")
    assert rows == [["Málaga", "1"], ["Málaga", "2"]]
    assert "1 line not in the encoding iso8859-1, read as UTF-8" in odd[0]


def test_an_endless_line_is_cut_and_costs_no_other():
    rows, odd = read("a,b\n1," + "x" * (3 * LINE_LIMIT) + "\n2,y\n")
    assert [row[0] for row in rows] == ["a", "1", "2"]
    assert "1 line longer than 1,048,576 characters" in odd[0]


def test_a_carriage_return_within_a_cell_does_not_end_the_row():
    assert read("a\tb\n1\tx\ry\n2\tz\n", "\t", "")[0] == [["a", "b"], ["1", "x\ry"], ["2", "z"]]
