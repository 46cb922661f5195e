"""What a portal must know about the data as a whole: who publishes it, under which licence, whom to ask."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence by its addresses and names."""

    uri: str
    """As the list of licences of the Dutch government writes it."""
    spdx: str
    title: str


LICENCES: Mapping[str, Licence] = {
    "cc0-1.0": Licence(
        "http://creativecommons.org/publicdomain/zero/1.0/deed.nl", "CC0-1.0", "Creative Commons Zero 1.0"
    ),
    "cc-by-4.0": Licence(
        "http://creativecommons.org/licenses/by/4.0/deed.nl", "CC-BY-4.0", "Creative Commons Attribution 4.0"
    ),
    "cc-by-sa-4.0": Licence(
        "http://creativecommons.org/licenses/by-sa/4.0/deed.nl",
        "CC-BY-SA-4.0",
        "Creative Commons Attribution-ShareAlike 4.0",
    ),
    "odbl-1.0": Licence(
        "http://opendatacommons.org/licenses/odbl/1-0/", "ODbL-1.0", "Open Data Commons Open Database License 1.0"
    ),
}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The block `catalogue:` of the configuration; empty where nothing is said."""

    title: str = ""
    description: str = ""
    publisher_name: str = ""
    publisher_uri: str = ""
    contact_name: str = ""
    contact_mail: str = ""
    licence: str = ""
    """One of `LICENCES`, or the address of another licence."""
    landing_page: str = ""
    """Where people read about the data; also what its identifiers begin with."""
    files: str = ""
    """The address of the folder where the files will be."""
    theme: str = "GOVE"
    access_rights: str = "PUBLIC"
    spatial: str = ""
    country: str = "Netherlands"
    currency: str = "EUR"

    def missing(self) -> list[tuple[str, str]]:
        """What a portal asks for and nobody wrote: keys of the block, with an example each."""
        wanted = (
            ("title", self.title, "Voorstellen van inwoners"),
            ("description", self.description, "Wat inwoners op onze platforms voorstelden, met steun en antwoorden."),
            ("publisher.name", self.publisher_name, "Gemeente Voorbeeld"),
            ("publisher.uri", self.publisher_uri, "https://identifier.overheid.nl/tooi/id/gemeente/gm0000"),
            ("contact.name", self.contact_name, "Team Data"),
            ("contact.mail", self.contact_mail, "data@voorbeeld.nl"),
            ("licence", self.licence, "cc-by-4.0"),
            ("landing_page", self.landing_page, "https://data.voorbeeld.nl/participatie"),
        )
        return [(key, example) for key, value, example in wanted if not value]

    @property
    def licence_known(self) -> Licence:
        """The licence with its names; of one that is not in the list, its address only."""
        return LICENCES.get(self.licence) or Licence(self.licence, "", self.licence)
