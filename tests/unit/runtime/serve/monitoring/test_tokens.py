from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring_runtime.model.signature import Output, Signature
from mainspring_runtime.serve.monitoring.predictions import Predictions
from mainspring_runtime.serve.monitoring.profile import Prediction
from mainspring_runtime.serve.monitoring.tokens import MAX_TOKEN_CHARACTERS, Signer, Tokens, meaning_of
from tests.unit.runtime.serve.monitoring.watching import CLASSIFIED, KEY

SIGNER = Signer(KEY, "tumours")
WATCHED = Prediction("predict_proba", "OutOfFold", {}, {}, edges=[0.25, 0.5, 0.75], positive="M")
MEANING = meaning_of("Classification", ["B", "M"], 1)
RESULTS = {
    "predict": np.array(["M", "B", "M"], dtype=object),
    "predict_proba": np.array([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]]),
}


def make(version: str = "3", time: float = 1_800_000_000.9) -> list[str]:
    made = Tokens(SIGNER, version, Predictions(CLASSIFIED, WATCHED), MEANING, lambda: time).make(RESULTS)
    return list(made)


def test_a_token_holds_what_was_said_about_its_row() -> None:
    stamps = [SIGNER.read(token) for token in make()]
    assert [(stamp.version, stamp.made, stamp.prediction, stamp.bin, stamp.bins) for stamp in stamps if stamp] == [
        ("3", 1_800_000_000, 1.0, 3, 4),
        ("3", 1_800_000_000, 0.0, 1, 4),
        ("3", 1_800_000_000, 1.0, 2, 4),
    ]
    assert all(stamp and stamp.meaning == MEANING for stamp in stamps)


def test_equal_rows_have_different_tokens() -> None:
    assert len({*make(), *make()}) == 6


def test_a_predicted_value_is_kept_exactly() -> None:
    signature = Signature((), (Output("predict", "FP64", (-1,)),), task="Regression")
    tokens = Tokens(SIGNER, "12", Predictions(signature, None), MEANING, lambda: 0.0)
    stamp = SIGNER.read(tokens.make({"predict": np.array([0.1 + 0.2])})[0])
    assert stamp is not None
    assert (stamp.prediction, stamp.bins, stamp.version) == (0.1 + 0.2, 0, "12")


def test_a_token_goes_through_urls_and_command_lines_as_it_is() -> None:
    token = make()[0]
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len(token) < 80


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = make()[0]
    content = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    assert SIGNER.read(base64.urlsafe_b64encode(bytes(content)).decode().rstrip("=")) is None


@given(st.text())
def test_any_text_is_refused_quietly(text: str) -> None:
    assert SIGNER.read(text) is None


def test_a_token_of_another_key_or_model_is_refused() -> None:
    token = make()[0]
    assert Signer(KEY + "!", "tumours").read(token) is None
    assert Signer(KEY, "other").read(token) is None
    assert Signer(KEY, "tumours").read(token) is not None
    assert SIGNER.read("A" * (MAX_TOKEN_CHARACTERS + 1)) is None


@pytest.mark.parametrize(
    "other",
    [("Regression", None, None), ("Classification", ["M", "B"], 1), ("Classification", ["B", "M"], 0)],
)
def test_versions_with_other_classes_mean_something_else(other: tuple[str, list[str] | None, int | None]) -> None:
    assert meaning_of(*other) != MEANING
    assert meaning_of("Classification", ("B", "M"), 1) == MEANING


def test_where_labels_are_watched_there_are_no_score_bins() -> None:
    predictions = Predictions(CLASSIFIED, Prediction("predict", "OutOfFold", {}, {}, classes=["B", "M"]))
    stamp = SIGNER.read(Tokens(SIGNER, "3", predictions, MEANING, lambda: 0.0).make(RESULTS)[0])
    assert stamp is not None
    assert (stamp.bins, stamp.prediction) == (0, 1.0)
