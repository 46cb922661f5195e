"""The one place where readers and writers are put together."""

import pytest

from civicsync.connectors.contract.errors import CannotDo
from civicsync.connectors.contract.reading import Connector
from civicsync.connectors.contract.settings import InstanceSettings
from civicsync.connectors.open import open_reader, open_writer, user_agent
from civicsync.connectors.testing.fake import CONNECTOR
from civicsync.core.clock import FakeClock

KEY = "0123456789abcdef" * 4
SETTINGS = InstanceSettings(platform="civicsync.connectors.testing.fake:CONNECTOR", url="http://127.0.0.1:9")


async def test_a_reader_knows_people_by_pseudonyms_of_its_instance(clock: FakeClock) -> None:
    async with (
        open_reader("a", SETTINGS, secret=KEY, agent="x", clock=clock) as (_, a),
        open_reader("b", SETTINGS, secret=KEY, agent="x", clock=clock) as (_, b),
        open_reader("look", SETTINGS, secret=None, agent="x", clock=clock) as (_, nobody),
    ):
        assert len({a.pseudonym("1"), a.pseudonym("2"), b.pseudonym("1")}) == 3
        assert nobody.pseudonym("1") == nobody.pseudonym("2") == "0" * 32
        assert a.transport.url == SETTINGS.url


async def test_a_writer_signs_in_apart_from_what_reads(clock: FakeClock) -> None:
    async with open_writer("a", SETTINGS, secret=KEY, agent="x", clock=clock) as (_, context):
        assert context.session is not context.reading.transport
    only_read = Connector(CONNECTOR.platform, CONNECTOR.settings, CONNECTOR.reader)
    with pytest.raises(CannotDo, match="only read"):
        async with open_writer("a", SETTINGS, secret=KEY, agent="x", clock=clock, connector=only_read):
            pass


def test_the_agent_says_who_asks() -> None:
    assert "(+Gemeente ?ngstr?m mail@example.org)" in user_agent("Gemeente Ångström", "mail@example.org")
    assert "no contact configured" in user_agent("", "")
