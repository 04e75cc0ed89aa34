"""How the repository is laid out."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import mainspring
from mainspring.api.v1alpha1 import BY_KIND
from mainspring.controllers import registry

ROOT = Path(__file__).parents[2]


def test_operator_is_no_package() -> None:
    """It would shadow the standard library's `operator` for any Python that is started in the repository's root."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_every_kind_has_a_controller_and_a_plan() -> None:
    assert set(registry.KINDS) == set(BY_KIND)
    plans = {module.name for module in pkgutil.iter_modules(importlib.import_module("mainspring.plan").__path__)}
    assert plans == {kind.lower() for kind in BY_KIND} | {"common", "statistics"}


def test_every_module_says_what_it_is_for() -> None:
    for module in pkgutil.walk_packages(mainspring.__path__, "mainspring."):
        if not module.name.endswith("__main__"):
            assert importlib.import_module(module.name).__doc__, module.name


def test_programs_are_built_before_the_tests_that_start_them() -> None:
    """A build takes minutes and every test has a time limit: on a new machine the tests would fail."""
    rules = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("apiserver:")]
    assert [rule.split("##")[0].split() for rule in rules] == [["apiserver:", "programs"]]
