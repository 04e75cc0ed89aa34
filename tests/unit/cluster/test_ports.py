"""Ports for the programs that tests start."""

from __future__ import annotations

import socket

import pytest

from mainspring_runtime.serve.listener import bind
from tests.cluster import config


def test_a_server_may_listen_at_a_reserved_port_and_again_after_it_ended() -> None:
    with config.reserved_ports(1) as (port,):
        for _ in range(2):
            with bind(port):
                socket.create_connection((config.LOOPBACK, port)).close()


def test_nobody_listens_at_a_reserved_port_by_itself() -> None:
    with config.reserved_ports(1) as (port,), pytest.raises(ConnectionRefusedError):
        socket.create_connection((config.LOOPBACK, port))


def test_a_reserved_port_is_given_to_nobody_else() -> None:
    with config.reserved_ports(50) as first, config.reserved_ports(50) as second:
        assert len({*first, *second}) == 100
