"""Prices as a person writes them, and the errors in prices that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import InputError
from assay.fingerprint import Fingerprint
from assay.fleet.kind import MachineKind
from assay.fleet.prices import read_prices

KIND = MachineKind(processor=Fingerprint(name="p"), cores=2, instance_type="c7i.large")
UNNAMED = KIND.model_copy(update={"instance_type": ""})


def written(folder: Path, text: str) -> Path:
    path = folder / "prices.toml"
    path.write_text(text)
    return path


def test_a_kind_is_found_by_its_type_and_by_its_key(tmp_path: Path) -> None:
    found = read_prices(
        written(
            tmp_path, f'currency = "EUR"\n[per_hour]\n"c7i.large" = 0.09\n"{UNNAMED.key[:8]}" = 2\n"{KIND.key}" = 3'
        )
    )
    assert (found.currency, found.of(KIND), found.of(UNNAMED)) == ("EUR", 0.09, 2.0)
    assert found.of(KIND.model_copy(update={"instance_type": "other", "cores": 3})) is None


def test_too_short_a_key_names_nothing(tmp_path: Path) -> None:
    assert read_prices(written(tmp_path, f'[per_hour]\n"{UNNAMED.key[:5]}" = 2')).of(UNNAMED) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[per_hour]\na = 0", "more than 0"),
        ("[per_hour]\na = -1.5", "more than 0"),
        ("[per_hour]\na = inf", "a finite number"),
        ("[per_hour]\na = nan", "found nan"),
        ("[per_hour]\na = true", "a number"),
        ('[per_hour]\na = "0.1"', "a number"),
        ("[per_hours]\na = 1", "per_hour"),
        ("per_hour = 3", "an object with keys"),
        ("[per_hour", "line 1: expected a section's name in brackets"),
        ("a = " + "[" * 20_000, "brackets|line 1"),
        ("", "per_hour: it is missing"),
    ],
)
def test_a_value_that_is_not_a_price_is_refused_with_words(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_prices(written(tmp_path, text))
    assert "prices.toml" in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read_prices(tmp_path / "none.toml")
