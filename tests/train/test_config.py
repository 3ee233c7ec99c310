"""Options: types, ranges, unknown names, TOML."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from thalweg.errors import ConfigError
from thalweg.train import Config


def test_defaults_survive_a_round_trip() -> None:
    assert Config.from_dict(Config().to_dict()) == Config()


def test_flags_are_typed() -> None:
    config = Config.from_dict({"hidden": "20,10", "lr": 1, "batch-size": 5, "drop": "a, b"})
    assert config.hidden == (20, 10)
    assert config.lr == 1.0
    assert isinstance(config.lr, float)
    assert config.batch_size == 5
    assert config.drop == ("a", "b")


@pytest.mark.parametrize("text", ["", "none", "0"])
def test_no_hidden_layer(text: str) -> None:
    assert Config.from_dict({"hidden": text}).hidden == ()


def test_a_single_number_is_one_layer() -> None:
    assert Config.from_dict({"hidden": 30}).hidden == (30,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"leraning_rate": 1}, "unknown option 'leraning_rate'"),
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"lr": "fast"}, "expected a number"),
        ({"lr": -1.0}, "at least 0"),
        ({"lr": 0.0}, "nothing would be learned"),
        ({"lr": math.nan}, "lr = nan"),
        ({"epochs": 0}, "at least 1"),
        ({"epochs": 2.5}, "expected a whole number"),
        ({"epochs": True}, "expected a whole number"),
        ({"dropout": 1.0}, "from 0 to 0.999"),
        ({"momentum": 1.0}, "from 0 to 0.9999"),
        ({"hidden": "30,thirty"}, "expected layer sizes"),
        ({"hidden": [30, 0]}, "at least 1 unit"),
        ({"nesterov": "yes"}, "expected true or false"),
        ({"drop": [1]}, "expected names"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        Config.from_dict(given)


def test_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('dataset = "mnist"\nhidden = [128]\nbatch-size = 64\n', encoding="utf-8")
    config = Config.from_toml(path)
    assert (config.dataset, config.hidden, config.batch_size) == ("mnist", (128,), 64)


@pytest.mark.parametrize(
    ("content", "said"),
    [("hidden = [", "not valid TOML"), ("hiden = 3", "did you mean 'hidden'")],
)
def test_toml_errors_name_the_file(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as caught:
        Config.from_toml(path)
    assert "run.toml" in str(caught.value)


def test_a_missing_toml_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.from_toml(tmp_path / "none.toml")
