"""Every platform through the kit: what civicsync asks of a reader and of a writer, for every release there is.

The organisation's own voice takes other pages than a participant's, but the same ones in neighbouring releases: two of each are enough.
"""

from civicsync.connectors.testing import reader_suite, writer_suite
from civicsync.connectors.testing.fake import CONNECTOR as FAKE

TestConsulReader = reader_suite("consul", size=40)
TestConsulWriter = writer_suite("consul", space="section/proposals", voices=["participant"])
TestConsulOffice = writer_suite("consul", space="section/proposals", voices=["official"], versions=["1.4.1", "2.5.1"])

TestDecidimReader = reader_suite("decidim", size=40)
TestDecidimWriter = writer_suite("decidim", space="component/1", voices=["participant"])
TestDecidimOffice = writer_suite("decidim", space="component/1", voices=["official"], versions=["0.28.6", "0.32"])

# Without a gate an unchanged instance costs one list per group and status.
TestYourPrioritiesReader = reader_suite("your-priorities", size=40, requests_when_unchanged=40)
TestYourPrioritiesWriter = writer_suite("your-priorities", space="group/1")

TestFakeReader = reader_suite(FAKE)
TestFakeWriter = writer_suite(FAKE, space="board/1")
