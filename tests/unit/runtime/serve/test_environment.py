from __future__ import annotations

from mainspring.api.contract import ServerEnv
from mainspring_runtime.serve import environment


def test_the_names_are_those_of_the_contract() -> None:
    here = {name: value for name, value in vars(environment).items() if name.isupper()}
    assert here == {member.name: member.value for member in ServerEnv}
