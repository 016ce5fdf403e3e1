"""The faults of a dataset file: each is one line that names the place, what was seen and what is valid."""

from pathlib import Path

import pytest

from support.bicycles import BICYCLES
from veleta.dataset import load_dataset, parse_dataset
from veleta.dataset_faults import RESERVED
from veleta.errors import Stop
from veleta.tables import dataset_tables

TEXT = BICYCLES.read_text()
CATCH_ALL = "[[source]]\nplace = {}\nwhere = []\n"
NAMES = "use 1 to 48 lower case letters, digits and _, with a letter first"
DERIVED = '[[features]]\nname = "{}"\ntitle = "{}"\n{}\n\n[cleaning]'
RATIO = 'divide = ["weight", "gears"]'
PLACES = '[places]\ntable = "{}"\nkey = "{}"\n\n[cleaning]'
EVALUATION = "[evaluation]\n{}\n\n[cleaning]"
TRAINING = "[training]\n{}\n\n[cleaning]"
BREAKS: list[tuple[str, str, str]] = [
    ('name = "bicycles"', "name = bicycles", "not TOML: Invalid value (at line 3, column 8): 'name = bicycles'"),
    ('name = "bicycles"', 'name = "Bikes!"', f"name = 'Bikes!': {NAMES}"),
    ('name = "bicycles"\n', "", f"name is missing: {NAMES}"),
    ('title = "Used bicycles"', 'title = " "', "title is empty: use words for people"),
    ('title = "Used bicycles"', 'title = "x"\ncolour = 1', "colour is no key: did you mean columns?"),
    ('title = "Used bicycles"', 'title = "x"\nsources = 1', "sources is no key: did you mean source?"),
    ('target = "asking"', 'target = "askin"', "target = \"askin\" is no column: did you mean asking?"),
    ('target = "asking"', 'target = "maker"', 'target = "maker": its kind is category: use a column'),
    ('target = "asking"\n', "", f"target is missing: {NAMES}"),
    ('identity = ["serial"]', "identity = [1]", "identity = [1]: use a list of names"),
    ('identity = ["serial"]', 'identity = ["serial", "serial"]', "identity: serial is there twice: remove one"),
    ('identity = ["serial"]', 'identity = ["seral"]', "identity: seral is no column: did you mean serial?"),
    ('identity = ["serial"]', 'identity = ["asking"]', "identity: asking is the target: name the columns that"),
    ('name = "maker"', 'name = "gears"', "column gears: declared twice: remove one"),
    ('name = "maker"', 'name = "Maker"', f"column Maker: name = 'Maker': {NAMES}"),
    ('name = "maker"', 'name = "epoch"', "column epoch: the name is reserved: use another"),
    ('name = "maker"\n', "", f"column number 3: name is missing: {NAMES}"),
    ('kind = "date"', 'kind = "moment"', "column bought: kind = 'moment': use number, identifier, category, date or"),
    ('kind = "date"\n', "\n", "column bought: kind is missing: use number, identifier, category, date or boolean"),
    ('kind = "date"', 'kind = "date"\nkin = 1', "column bought: kin is no key: did you mean kind?"),
    ('title = "Maker"', 'title = ""', "column maker: title is empty: use words for people"),
    ('title = "Maker"', "title = 7", "column maker: title = 7: use a text"),
    ('title = "Maker"', 'title = "x"\nminimum = 1', "column maker: minimum = 1 is for numbers, and its"),
    ("minimum = 1\n", 'minimum = "low"\n', "column gears: minimum = 'low': use a number"),
    ("minimum = 1\n", "minimum = true\n", "column gears: minimum = true: use a number"),
    ('kind = "date"', 'kind = "date"\nformat = "day"', 'column bought: format = "day" reads no date: use %Y, %m'),
    ('kind = "date"', 'kind = "date"\nformat = "%Y-%d-%m"', 'format = "%Y-%d-%m" reads 2001-02-03 as another day'),
    ("minimum = 1\n", 'format = "%Y"\n', 'column gears: format = "%Y" is for dates, and its kind is number: remove it'),
    ('title = "Maker"', 'title = "x"\noptional = 1', "column maker: optional = 1: use true or false"),
    ('title = "Maker"', 'title = "x"\nmissing = "-"', "column maker: missing = '-': use a list of texts"),
    ('title = "Used bicycles"', 'title = "x"\nmissing = [1]', "missing = [1]: use a list of texts"),
    ('title = "Used bicycles"', 'title = "x"\nextends = "boats"', "extends = 'boats': there is no such dataset: use"),
    ('title = "Asking price"', 'title = "x"\noptional = true', "column asking: optional = true, and it is the target"),
    ("bounds = [2000-01-01", "bounds = [2031-01-01", "column bought: bounds = [2031-01-01, 2030-12-31]: use [earliest"),
    ("bounds = [2000-01-01, 2030-12-31]", "bounds = [2000-01-01]", "bought: bounds = [2000-01-01]: use [earliest,"),
    ("bounds = [2000-01-01", 'bounds = ["soon"', "column bought: bounds = ['soon', 2030-12-31]: use [earliest"),
    ('kind = "date"', 'kind = "category"', "bought: bounds are for dates, and its kind is category: remove them"),
    ("minimum = 1\n", "bounds = [2000-01-01, 2001-01-01]\n", "gears: bounds are for dates, and its kind is number"),
    ('bought = "2019-04-01"', "bought = 1999-12-31", "[example] bought = '1999-12-31': it is outside 2000"),
    ("place = 2", "place = 1.5", "[[source]] number 3: place = 1.5: use a whole number"),
    ("minimum = 1\n", "minimum = nan\n", "column gears: minimum = nan: use a finite number"),
    ("minimum = 1\n", "digits = 5\n", "column gears: digits = 5 is for identifiers, and its kind is number: remove it"),
    ("digits = 4", "digits = 1", 'column shop: prefix = 2, digits = 1: feature = "prefix" needs 1 <= prefix <= digits'),
    ("digits = 4", "digits = 99", "column shop: digits = 99: use 1 to 15"),
    ('feature = "prefix"', "", 'column shop: prefix = 2 has no effect: add feature = "prefix", or remove it'),
    ("[cleaning]", DERIVED.format("gears", "x", RATIO), "[[features]] gears: the name is there twice: use another"),
    ("[cleaning]", DERIVED.format("ratio", " ", RATIO), "[[features]] ratio: title is empty: use words for people"),
    ("[cleaning]", DERIVED.format("ratio", "x", ""), '[[features]] ratio: use one of divide = ["dividend", "divisor"]'),
    ("[cleaning]", DERIVED.format("ratio", "x", f'{RATIO}\nadd = ["gears", "weight"]'), "ratio: use one of divide"),
    ("[cleaning]", DERIVED.format("ratio", "x", 'add = ["gears"]'), "ratio: add: name two or more columns"),
    ("[cleaning]", DERIVED.format("ratio", "x", 'add = ["gears", "gears"]'), "ratio: add: name two or more columns"),
    ("[cleaning]", DERIVED.format("ratio", "x", 'divide = ["gear", "weight"]'), "ratio: gear is no column"),
    ("[cleaning]", DERIVED.format("ratio", "x", 'divide = ["gears"]'), "divide = ['gears']: use a list of 2 names"),
    ("[cleaning]", DERIVED.format("ratio", "x", 'add = ["gears", "maker"]'), "ratio: maker is no number, its kind is"),
    ("[cleaning]", DERIVED.format("ratio", "x", 'add = ["gears", "asking"]'), "ratio: asking is the target: name"),
    ("[cleaning]", PLACES.format("us", "shop"), "[places] table = 'us': there is no such table: use us_zip"),
    ("[cleaning]", PLACES.format("x.csv", "shop"), "[places] table = 'x.csv': there is no such file: use us_zip"),
    ("[cleaning]", PLACES.format("us_zip", "shops"), '[places] key = "shops": this is no column: did you mean shop?'),
    ("[cleaning]", PLACES.format("us_zip", "gears"), '[places] key = "gears": its kind is number: name a'),
    ("[cleaning]", PLACES.format("us_zip", "serial"), '[places] key = "serial": its kind is identifier: name'),
    ("[cleaning]", PLACES.format("us_zip", 'shop"\ncity = "gears'), 'city = "gears": its kind is number: name'),
    ("[cleaning]", PLACES.format("us_zip", 'shop"\nstat = "gears'), "[places] stat is no key: did you mean state?"),
    ("[cleaning]", TRAINING.format("cap = 50"), "[training] cap = 50: use a number above 50, the lowest asking of"),
    ("[cleaning]", TRAINING.format("cap = inf"), "[training] cap = inf: use a number above 50"),
    ("[cleaning]", TRAINING.format('increasing = ["gear"]'), "[training] increasing: gear is no column: did you mean"),
    ("[cleaning]", TRAINING.format('increasing = ["shop"]'), "[training] increasing: shop is no number, its kind is"),
    ("[cleaning]", TRAINING.format('increasing = ["gears", "gears"]'), "[training] increasing: gears is there twice"),
    ("[cleaning]", EVALUATION.format('slices = ["makr"]'), "[evaluation] slices: makr is no column: did you"),
    ("[cleaning]", EVALUATION.format('slices = ["gears"]'), "[evaluation] slices: gears is no category of the model"),
    ("[cleaning]", EVALUATION.format('slices = ["maker", "maker"]'), "[evaluation] slices: maker is there twice"),
    ("[cleaning]", EVALUATION.format("bands = [9, 9]"), "[evaluation] bands = [9.0, 9.0]: use finite numbers, each"),
    ("[cleaning]", EVALUATION.format("bands = [1, inf]"), "[evaluation] bands = [1.0, inf]: use finite numbers, each"),
    ("[cleaning]\nasking = [50, 20_000]", "[cleaning]", "[cleaning] asking is missing: use [lowest, highest] above 0"),
    ("asking = [50, 20_000]", "asking = [0, 9]", "[cleaning] asking = [0, 9]: use bounds above 0 for the target"),
    ("gears = [1, 36]", "gears = [36, 1]", "[cleaning] gears = [36, 1]: use [lowest, highest]"),
    ("gears = [1, 36]", "gears = [1]", "[cleaning] gears = [1]: use [lowest, highest]"),
    ("gears = [1, 36]", "gears = [1, inf]", "[cleaning] gears = [1, inf]: use finite numbers"),
    ("gears = [1, 36]", "gear = [1, 36]", "[cleaning] gear is no column: did you mean gears?"),
    ("gears = [1, 36]", "maker = [1, 36]", "[cleaning] maker = [1, 36]: bounds are for numbers"),
    ("gears = [1, 36]", "gears = [-9, 0]", "[cleaning] gears = [-9, 0]: minimum = 1 is above it, so no row is clean"),
    ('ignore = ["serial", "shop"]', 'ignore = ["shopp"]', "[drift] ignore: shopp is no column: did you mean shop?"),
    ('ignore = ["serial", "shop"]', 'ignore = ["shop", "shop"]', "[drift] ignore: shop is there twice: remove one"),
    ('ignore = ["serial", "shop"]', "ignored = []", "[drift] ignored is no key: did you mean ignore?"),
    (
        'ignore = ["serial", "shop"]',
        'ignore = ["serial", "shop", "gears", "weight", "asking"]',
        "[drift] ignore leaves no number to compare: remove one",
    ),
    ("\ngears = 21", "", "[example] gears is missing: use a number, as 4 or 0.5"),
    ("\ngears = 21", "\ngearz = 21", "[example] gearz is no column: did you mean gears?"),
    ("\ngears = 21", '\ngears = "four"', "[example] gears = 'four': use a number, as 4 or 0.5"),
    ("\ngears = 21", "\ngears = true", "[example] gears = true: use a number, as 4 or 0.5"),
    ("\ngears = 21", "\ngears = 99", "[example] gears = 99: [cleaning] allows [1, 36]: use a value within"),
    ('maker = "Rota"', "maker = 7", "[example] maker = 7: use a text of 1 to 255 characters in quotes"),
    ('maker = "Rota"', 'maker = ""', "[example] maker = '': use a text of 1 to 255 characters in quotes"),
    ('bought = "2019-04-01"', 'bought = "2019-02-30"', "[example] bought = '2019-02-30': use a date, as"),
    ("shop = 1204", "shop = 120466", "[example] shop = 120466: digits is 4: use at most 4 digits"),
    ("place = 2", "place = 3", "[[source]] place = 2 is missing: number the rules from 0 without gaps"),
    ("place = 2", "place = 1", "[[source]] place = 1 is there twice: give each rule its own"),
    ("place = 2", "place = -1", "[[source]] place = -1: use 0, 1, 2 and so on"),
    ("place = 2", 'place = "last"', "[[source]] number 3: place = 'last': use a whole number"),
    (", above = 700 }]\n\n", " }]\n\n", "[[source]] place 1: the condition of asking has no tests: use one of equals,"),
    ("at_most = 700", "at_most = 700, above = 1", "[[source]] place 0: the condition of asking has 2 tests: use"),
    ('equals = "Velox"', 'equals = " Velox"', "[[source]] place 1: maker equals ' Velox': rows have 'Velox' instead"),
    ("at_most = 700", 'equals = "700"', "[[source]] place 0: asking equals '700': equals is for categories"),
    ("at_most = 700", "at_mots = 700", "[[source.where]] place 0, asking: at_mots is no key: did you mean at_most?"),
    ('"asking", at_most = 700', '"maker", above = 1', "[[source]] place 0: maker above 1: above is for numbers"),
    ('"asking", at_most = 700', '"askin", above = 1', "[[source]] place 0: where askin is no column: did you"),
    (
        "at_most = 700 }]",
        'at_most = 700 }, { column = "asking", above = 900 }]',
        "[[source]] place 0: asking above 900 and at_most 700: no row has both",
    ),
    (
        'equals = "Velox" }',
        'equals = "Velox" }, { column = "maker", equals = "Rota" }',
        "[[source]] place 1: maker equals 'Rota' and 'Velox': no row has both",
    ),
    ("[[source]]\nplace = 1", f"{CATCH_ALL.format(3)}[[source]]\nplace = 1", "[[source]] place 3: where is empty"),
    ('title = "Used bicycles"', f'title = "x"\n# {"x" * 66_000}', "bytes: use at most 65,535"),
]  # fmt: skip
"""What is replaced in the dataset file, by what, and the beginning of the fault's line."""


def refusal(text: str, folder: Path) -> list[str]:
    """The lines of the error for a file with this text."""
    file = folder / "mine.toml"
    file.write_text(text)
    with pytest.raises(Stop) as caught:
        load_dataset(str(file))
    return str(caught.value).splitlines()


@pytest.mark.failure("F201")
@pytest.mark.parametrize(("old", "new", "message"), BREAKS, ids=[message for *_, message in BREAKS])
def test_each_way_to_break_the_file_has_its_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    """The line begins with the name of the file. Nothing is said about what is right."""
    assert old in TEXT
    lines = refusal(TEXT.replace(old, new, 1), tmp_path)
    assert any(line.startswith("mine.toml: ") and message in line for line in lines), lines


def test_there_are_many_ways_to_break_a_file() -> None:
    """Each way has another line."""
    assert len({message for *_, message in BREAKS}) > 50


@pytest.mark.failure("F201")
def test_all_faults_are_found_at_once(tmp_path: Path) -> None:
    """A wrong structure in one part does not hide a fault in another, nor causes one."""
    text = (
        TEXT.replace('kind = "date"', 'kindd = "date"')
        .replace("gears = 21", 'gears = "x"')
        .replace("weight = [5, 40]", "weight = [40, 5]\nwight = [1, 2]")
        .replace('target = "asking"', 'target = "askin"')
        .replace("place = 2", 'place = "last"')
    )
    assert refusal(text, tmp_path) == [
        "mine.toml: column bought: kind is missing: use number, identifier, category, date or boolean",
        "mine.toml: column bought: kindd is no key: did you mean kind?",
        "mine.toml: [[source]] number 3: place = 'last': use a whole number",
        'mine.toml: target = "askin" is no column: did you mean asking?',
        "mine.toml: [cleaning] wight is no column: did you mean weight?",
        "mine.toml: [cleaning] weight = [40, 5]: use [lowest, highest]",
        "mine.toml: [example] gears = 'x': use a number, as 4 or 0.5",
    ]  # fmt: skip


def test_an_empty_file_names_what_it_needs(tmp_path: Path) -> None:
    """Each missing part once."""
    missing = [line.split()[1] for line in refusal("", tmp_path)]
    assert missing == ["name", "title", "target", "columns", "example"]


def test_an_example_is_not_below_the_minimum_of_its_column(tmp_path: Path) -> None:
    """A request with such a value would be refused."""
    text = TEXT.replace("gears = [1, 36]\n", "").replace("minimum = 1\n", "minimum = 30\n")
    assert refusal(text, tmp_path) == ["mine.toml: [example] gears = 21: it is below minimum = 30: use a higher value"]


def test_a_dataset_needs_a_feature(tmp_path: Path) -> None:
    """Identifiers are names: a model learns nothing from them."""
    head, *columns = TEXT.partition("[cleaning]")[0].split("\n[[columns]]\n")
    kept = "\n[[columns]]\n".join([head, columns[0], columns[-1]])
    rest = "[cleaning]\nasking = [1, 9]\n[example]\nserial = 1\nasking = 2\n"
    assert refusal(kept + rest, tmp_path) == [
        "mine.toml: no column is left for the model: declare a number, a category or a date beside the target"
    ]


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_is_refused(name: str, tmp_path: Path) -> None:
    """For a column of any kind."""
    lines = refusal(TEXT.replace('name = "weight"', f'name = "{name}"'), tmp_path)
    assert f"mine.toml: column {name}: the name is reserved: use another" in lines


def test_the_own_columns_of_every_table_are_reserved() -> None:
    """A column of the dataset with the same name would be in the table twice."""
    dataset = parse_dataset(TEXT)
    tables = dataset_tables(dataset)
    own = {column.name for table in (tables.raw, tables.clean, tables.requests) for column in table.c}
    assert own - dataset.by_name.keys() <= RESERVED


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("", None),
        ("[batches]\nrows = 100", None),
        ('[batches]\nby = "bought"\nevery = "week"', None),
        ('[batches]\nrows = 100\nby = "bought"', '[batches] rows = 100 and by = "bought": use one of them'),
        ('[batches]\nevery = "week"', '[batches] every = "week" has no effect: add by, the column with the dates'),
        ('[batches]\nby = "bougth"', "[batches] by: bougth is no column: did you mean bought?"),
        ('[batches]\nby = "maker"', '[batches] by = "maker": its kind is category: use a column with kind = "date"'),
        ('[batches]\nby = "sold"', '[batches] by = "sold": it is optional: use a date that each row has'),
        ("[batches]\nrows = 0", "[batches] rows = 0: use a whole number from 1"),
        ('[batches]\nevery = "decade"', "[batches] every = 'decade': use day, week, month, quarter or year"),
    ],
)
def test_batches_without_rules_are_declared_in_one_way(section: str, fault: str | None, tmp_path: Path) -> None:
    """By rows, by a date, or not at all: then they are equal parts."""
    sold = '[[columns]]\nname = "sold"\ntitle = "Sold"\nkind = "date"\noptional = true\n\n[cleaning]'
    text = f"{TEXT.partition('# Which rows')[0].replace('[cleaning]', sold)}\n{section}\n"
    if fault:
        assert refusal(text, tmp_path) == [f"mine.toml: {fault}"]
    else:
        (tmp_path / "mine.toml").write_text(text)
        assert load_dataset(str(tmp_path / "mine.toml")).source == []


def test_rules_and_another_division_exclude_each_other(tmp_path: Path) -> None:
    """Nobody could know which one counts."""
    both = f"{TEXT}\n[batches]\nrows = 100\n"
    assert refusal(both, tmp_path) == [
        "mine.toml: [batches] and [[source]] both divide the rows into batches: remove one of them"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfen\x00", "line 1: byte 0xff is not UTF-8: save the file as UTF-8"),
        (TEXT.replace("Maker", "Größe").encode("latin-1"), "byte 0xf6 is not UTF-8"),
    ],
)
def test_a_file_in_another_encoding_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    """With the line and the byte."""
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(Stop, match=message):
        load_dataset(str(file))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """Editors on Windows write one. The digest is that of the text."""
    file = tmp_path / "mine.toml"
    file.write_bytes(TEXT.encode("utf-8-sig"))
    assert load_dataset(str(file)).digest == parse_dataset(TEXT).digest


def test_a_dataset_that_is_not_there_is_refused_with_the_choices(tmp_path: Path) -> None:
    """A name that is not shipped, a missing file, a folder."""
    with pytest.raises(
        Stop, match=r"DATASET=boats: there is no such dataset: use listings, real_estate or sales, or the"
    ):
        load_dataset("boats")
    with pytest.raises(Stop, match=r"cannot read gone.toml \(No such file or directory\)"):
        load_dataset(str(tmp_path / "gone.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(Stop, match=r"this is no file: use the path of a .toml file"):
        load_dataset(str(tmp_path / "folder.toml"))


@pytest.mark.failure("F202")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("place = 2", "place = 7"),
        ("gears = [1, 36]", "gears = [36, 1]"),
        ('ignore = ["serial", "shop"]', 'ignore = ["shop", "shop"]'),
        ("\ngears = 21", "\ngears = 99"),
    ],
)
def test_a_declared_file_stays_readable(old: str, new: str) -> None:
    """Topics and models have files of earlier versions. A rule of a start does not apply to them."""
    assert parse_dataset(TEXT.replace(old, new)).name == "bicycles"


def test_the_files_of_the_first_release_stay_readable() -> None:
    """Their examples have floats, as all values in the topics."""
    for text in (load_dataset("real_estate").text, TEXT.replace("= 21\n", "= 21.0\n").replace("4711", "4711.0")):
        assert all(type(value) in (float, str) for value in parse_dataset(text).example.values())


def test_the_example_has_the_values_of_its_columns() -> None:
    """Whole numbers become floats, and dates without quotes become text: the model's signature follows from them."""
    written = TEXT.replace('bought = "2019-04-01"', "bought = 2019-04-01")
    assert parse_dataset(written).example == {
        "serial": 4711.0, "bought": "2019-04-01", "maker": "Rota", "gears": 21.0, "weight": 13.5, "shop": 1204.0,
        "asking": 640.0,
    }  # fmt: skip
    assert all(type(value) in (float, str) for value in parse_dataset(written).example.values())
