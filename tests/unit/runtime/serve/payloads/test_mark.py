from __future__ import annotations

from mainspring_runtime.serve.payloads.mark import Sampling

IDS = [f"order-{number}" for number in range(20_000)]


def chosen(rate: float) -> set[str]:
    sampling = Sampling(rate)
    return {request for request in IDS if sampling.mark(request, 1) is not None}


def test_every_server_chooses_the_same_requests() -> None:
    assert chosen(0.1) == chosen(0.1)


def test_the_share_is_that_of_the_rate() -> None:
    # Five standard deviations of a binomial.
    assert abs(len(chosen(0.1)) - 2_000) < 5 * (20_000 * 0.1 * 0.9) ** 0.5
    assert chosen(1.0) == set(IDS)


def test_a_greater_rate_has_all_that_a_smaller_one_has() -> None:
    assert chosen(0.05) < chosen(0.2)


def test_requests_without_an_id_get_one_each() -> None:
    sampling, other = Sampling(1.0), Sampling(1.0)
    marks = [mark for of in (sampling, other) for _ in range(3) if (mark := of.mark(None, 7)) is not None]
    assert len({mark.request for mark in marks}) == 6
    assert {mark.size for mark in marks} == {7}
