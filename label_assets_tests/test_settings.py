"""Settings: sources, shorthand, and refusals that name what was found."""

from pathlib import Path

import pytest

from label_assets.errors import SettingsError
from label_assets.settings import load_settings, parse_width


def test_defaults_need_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.home == tmp_path / ".label_assets"
    assert len(settings.instruments) == 29
    assert settings.ladder == ("M15", "H1", "H4", "D", "W")


def test_file_above_the_working_directory_is_found_and_variables_win(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "label_assets.toml").write_text(
        'instruments = ["EURUSD", {name = "COFFEE", decimals = 2}]\nhorizons = [6, 24]\n'
        '[labels]\nbarrier_width = "1 %"\n'
    )
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.setenv("LABEL_ASSETS_HORIZONS", "12,3")
    settings = load_settings()
    assert settings.home == tmp_path / ".label_assets"
    assert settings.horizons == (3, 12)
    assert settings.labels.barrier_width == "1 %"
    assert [item.name for item in settings.instruments] == ["EURUSD", "COFFEE"]
    assert settings.instrument("COFFEE").decimals == 2
    assert settings.instrument("EURUSD").kind == "fx"


def test_plain_names_of_server_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", "http://somewhere:8123")
    assert load_settings().clickhouse_url == "http://somewhere:8123"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"horizons": (101,)}, "1 to 100"),
        ({"horizons": ()}, "at least one"),
        ({"granularities": ("M15",)}, "finer than the base"),
        ({"granularities": ("M1",)}, "no finer granularity"),
        ({"granularities": ("H2",)}, "H2"),
        ({"granularities": ("H1", "H1")}, "none twice"),
        ({"instruments": ["EURUSD", "EURUSD"]}, "none twice"),
        ({"instruments": ["eur/usd"]}, "eur/usd"),
        ({"source": "landing"}, "landing_folder"),
        ({"first_month": "2020-13"}, "2020-13"),
        ({"labels": {"barrier_width": "wide"}}, "wide"),
        ({"labels": {"barrier_width": "120 %"}}, "below 100 %"),
        ({"labels": {"atr_periods": 3}}, "atr_periods"),
        ({"database": "a;b"}, "a;b"),
    ],
)
def test_refusal_names_what_was_found(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(**overrides)
    assert said in str(refusal.value)
    assert refusal.value.allowed
    assert refusal.value.action


def test_unknown_instrument_lists_the_known() -> None:
    with pytest.raises(SettingsError, match="EURUSD, GBPUSD"):
        load_settings().instrument("EURUS")


@pytest.mark.parametrize(("text", "width"), [("2 ATR", (2.0, 0.0)), ("1.5atr", (1.5, 0.0)), ("1 %", (0.0, 0.01))])
def test_width(text: str, width: tuple[float, float]) -> None:
    assert parse_width(text) == width
