from __future__ import annotations

import re

import numpy as np
import pytest

from tests.data.conftest import WriteCsv
from thalweg.data import Encoding, Splits, load_csv
from thalweg.errors import ConfigError, DataError


def lines(count: int = 40) -> list[str]:
    fuels = ("Petrol", "Diesel", "Hybrid")
    return [f"{2000 + i % 17},{fuels[i % 3]},{1000.5 * i},{9000 + 37 * i}" for i in range(count)]


HEADER = "year,fuel,km,price"


def cars(*extra: str) -> str:
    return "\n".join([HEADER, *lines(), *extra]) + "\n"


def raw_inputs(splits: Splits) -> np.ndarray:
    parts = (splits.train, splits.dev, splits.test)
    return splits.encoding.inputs.invert(np.concatenate([part.x.numpy() for part in parts]))


# -- what is made of a good file -------------------------------------------------------------------


def test_a_regression(write_csv: WriteCsv) -> None:
    splits = load_csv(write_csv(cars()), "price")
    assert (splits.name, splits.task, splits.classes) == ("table", "regression", ())
    assert (splits.input_shape, splits.output_size) == ((5,), 1)
    assert [len(part) for part in (splits.train, splits.dev, splits.test)] == [32, 4, 4]
    assert splits.train.y.shape == (32, 1)
    x = splits.train.x.numpy()
    np.testing.assert_allclose(x[:, [0, 4]].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(x[:, [0, 4]].std(0), 1, atol=1e-6)
    assert set(x[:, 1:4].ravel().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(splits.train.y.numpy().std(), 1, atol=1e-6)


def test_scaling_comes_from_the_training_rows_alone(write_csv: WriteCsv) -> None:
    splits = load_csv(write_csv(cars()), "price", drop=["fuel"])
    km = raw_inputs(splits)[:, 1]
    np.testing.assert_allclose(np.sort(km), [1000.5 * i for i in range(40)], atol=1e-2)
    np.testing.assert_allclose(splits.encoding.inputs.mean[1], km[:32].mean(), rtol=1e-6)
    assert abs(splits.dev.x.numpy().mean()) > 1e-3


def test_real_units_come_back(write_csv: WriteCsv) -> None:
    splits = load_csv(write_csv(cars()), "price")
    encoding = Encoding.from_dict(splits.encoding.to_dict())
    row = {"year": "2007", "fuel": "Diesel", "km": "7003.5"}  # line 9 of the file
    x = encoding.encode(row)
    parts = (splits.train, splits.dev, splits.test)
    inputs = np.concatenate([part.x.numpy() for part in parts])
    targets = np.concatenate([part.y.numpy() for part in parts])
    (found,) = np.flatnonzero((inputs == x).all(1))
    assert encoding.decode(targets[found : found + 1]) == [pytest.approx(9259, abs=1e-3)]


def test_text_is_a_class(write_csv: WriteCsv) -> None:
    splits = load_csv(write_csv(cars()), "fuel")
    assert splits.task == "classification"
    assert splits.classes == ("Diesel", "Hybrid", "Petrol")
    assert set(splits.test.y.tolist()) == {0, 1, 2}
    assert splits.train.y.shape == (32,)


@pytest.mark.parametrize(
    ("cells", "task", "classes"),
    [
        ([str(i % 3) for i in range(30)], "classification", ("0", "1", "2")),
        ([f"{i % 2}.0" for i in range(30)], "classification", ("0", "1")),
        ([str(10 * (i % 3)) for i in range(30)], "classification", ("0", "10", "20")),
        ([str(i % 3 + 0.5) for i in range(30)], "regression", ()),
        ([str(i) for i in range(30)], "regression", ()),
        ([str(i % 10) for i in range(30)], "regression", ()),
        (["yes", "no"] * 15, "classification", ("no", "yes")),
    ],
)
def test_the_task_is_seen(
    write_csv: WriteCsv, cells: list[str], task: str, classes: tuple[str, ...]
) -> None:
    content = "a,y\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    splits = load_csv(write_csv(content), "y")
    assert (splits.task, splits.classes) == (task, classes)


def test_the_task_can_be_said(write_csv: WriteCsv) -> None:
    content = "a,y\n" + "".join(f"{i},{i % 3}\n" for i in range(30))
    assert load_csv(write_csv(content), "y", task="regression").task == "regression"
    assert len(load_csv(write_csv(cars()), "year", task="classification").classes) == 17


def test_several_targets(write_csv: WriteCsv) -> None:
    splits = load_csv(write_csv(cars()), ["price", "km"])
    assert splits.train.y.shape == (32, 2)
    (answer,) = splits.encoding.decode(np.zeros((1, 2)))
    assert set(answer) == {"price", "km"}


def test_one_and_one_point_zero_are_one_class(write_csv: WriteCsv) -> None:
    content = "a,y\n" + "".join(f"{i},{'1' if i % 4 == 1 else float(i % 2)}\n" for i in range(30))
    assert load_csv(write_csv(content), "y").classes == ("0", "1")


def test_the_columns_used_are_told(write_csv: WriteCsv) -> None:
    content = "\n".join([HEADER + ",make,id", *(f"{line},7,{i}" for i, line in enumerate(lines()))])
    notes = load_csv(write_csv(content), "price", drop=["id"]).notes
    assert notes[0] == "regression of price from year, fuel (3 texts), km, make"
    assert notes[1] == "columns left out: id"
    assert notes[2] == "the same in every training row, so of no use: make"


def test_a_constant_column_does_no_harm(write_csv: WriteCsv) -> None:
    content = "a,b,y\n" + "".join(f"0.1,{i},{i / 3}\n" for i in range(30))
    splits = load_csv(write_csv(content), "y")
    assert (splits.train.x[:, 0] == 0).all()
    assert (splits.test.x[:, 0] == 0).all()


def test_the_seed_and_the_sizes(write_csv: WriteCsv) -> None:
    path = write_csv(cars())
    first, again, other = (load_csv(path, "price", dev=6, test=0.25, seed=s) for s in (1, 1, 2))
    assert [len(part) for part in (first.train, first.dev, first.test)] == [24, 6, 10]
    assert (first.test.y == again.test.y).all()
    assert raw_inputs(first).tolist() != raw_inputs(other).tolist()


# -- bad cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["?", "NA", "nan", "inf", "-inf", "1,5", "12 km", "1e999"])
def test_a_cell_that_is_no_number_is_named(write_csv: WriteCsv, cell: str) -> None:
    path = write_csv(cars(f'2010,Petrol,"{cell}",7000', "2011,Petrol,5,", "2012,,5,1"))
    message = (
        rf"line 42, column 'km': '{re.escape(cell)}' is not a number. "
        r"3 missing or non-numeric cells \(1 in 'km', 1 in 'price', 1 in 'fuel'\), "
        r"in 3 of 43 rows. .*missing='drop'.*drop=\['fuel', 'km'\].*fill"
    )
    with pytest.raises(DataError, match=message):
        load_csv(path, "price")


def test_an_empty_cell_is_named(write_csv: WriteCsv) -> None:
    path = write_csv(cars("2010,Petrol, ,7000"))
    with pytest.raises(DataError, match=r"line 42, column 'km': the cell is empty. 1 missing or"):
        load_csv(path, "price")


def test_a_target_is_not_offered_for_dropping(write_csv: WriteCsv) -> None:
    with pytest.raises(DataError, match=r"'price'.*\(--missing drop\), or fill the cells in"):
        load_csv(write_csv(cars("2010,Petrol,1,")), "price")


def test_rows_can_be_left_out(write_csv: WriteCsv) -> None:
    path = write_csv(cars("2010,Petrol,,7000", "x,Petrol,5,7000"))
    splits = load_csv(path, "price", missing="drop")
    assert sum(len(part) for part in (splits.train, splits.dev, splits.test)) == 40
    assert splits.notes[-1].startswith("2 of 42 rows left out: 2 missing or non-numeric cells")


def test_a_column_can_be_left_out(write_csv: WriteCsv) -> None:
    splits = load_csv(write_csv(cars("2010,Petrol,,7000")), "price", drop=["km"])
    assert splits.input_shape == (4,)


def test_nothing_left_after_leaving_out(write_csv: WriteCsv) -> None:
    with pytest.raises(DataError, match="every row has a missing"):
        load_csv(write_csv("a,b,y\n,1,1\n2,,2\n"), "y", missing="drop")


# -- bad questions ---------------------------------------------------------------------------------


def test_unknown_columns_get_the_nearest_name(write_csv: WriteCsv) -> None:
    path = write_csv(cars())
    with pytest.raises(ConfigError, match=r"target 'prise' is no column .*did you mean 'price'"):
        load_csv(path, "prise")
    with pytest.raises(ConfigError, match=r"drop 'yaer' is no column .*did you mean 'year'"):
        load_csv(path, "price", drop=["yaer"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drop": "fuel"}, r"expected a list of columns, \['fuel'\]"),
        ({"drop": ["year", "fuel", "km"]}, "no column is left to learn from"),
        ({"target": []}, "no target is given"),
        ({"missing": "dorp"}, "did you mean 'drop'"),
        ({"task": "clasification"}, "did you mean 'classification'"),
        ({"target": ["price", "km"], "task": "classification"}, "one target column"),
    ],
)
def test_options_that_do_not_fit(
    write_csv: WriteCsv, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_csv(write_csv(cars()), **({"target": "price"} | options))  # type: ignore[arg-type]


def test_a_target_with_nothing_to_learn(write_csv: WriteCsv) -> None:
    with pytest.raises(DataError, match="'y' is '3' in every row"):
        load_csv(write_csv("a,y\n" + "1,3\n" * 20), "y")


def test_a_regression_on_text(write_csv: WriteCsv) -> None:
    with pytest.raises(DataError, match="'fuel' holds text such as 'Petrol'"):
        load_csv(write_csv(cars()), "fuel", task="regression")


def test_too_few_rows(write_csv: WriteCsv) -> None:
    with pytest.raises(DataError, match="2 rows split into"):
        load_csv(write_csv("a,y\n1,1.5\n2,2.5\n"), "y")


def test_free_text_is_refused(write_csv: WriteCsv) -> None:
    content = "\n".join(
        [HEADER + ",name", *(f"{line},car {i}" for i, line in enumerate(lines(60)))]
    )
    with pytest.raises(DataError, match=r"'name' has 60 in 60 rows; at most 50"):
        load_csv(write_csv(content), "price")
