"""`civicsync register`: the register of processing (art. 30) and the data flows of an impact assessment, as things are configured."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from ...config import Config
from ...core.schema.database import parse_url
from .common import NO_INSTANCE, configuration, err, out, print_json

if TYPE_CHECKING:
    from ...analysis.privacy.register import Facts


def run(
    language: Annotated[Literal["en", "nl"], typer.Option("--language", help="English or Dutch.")] = "en",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what is done with people's data, why, for whom, how long: Markdown, to be put into your own register."""
    from ...analysis.privacy.register import as_markdown, register

    made = register(_facts(configuration(NO_INSTANCE)), language)
    if json:
        print_json(made.as_json())
    else:
        out.print(Text(as_markdown(made)), soft_wrap=True, end="")
    for key in made.missing:
        err.print(Text(f"not in the configuration: {key}", style="yellow"), soft_wrap=True)


def _facts(config: Config) -> "Facts":
    from ...analysis.privacy.register import Crossing, Facts, Source

    privacy, own = config.privacy, config.privacy.organisation
    return Facts(
        controller=own.controller if own else "",
        contact=own.contact if own else "",
        dpo=own.dpo if own else "",
        purposes=own.purposes if own else [],
        legal_basis=own.legal_basis if own else "art. 6(1)(e) GDPR: a task carried out in the public interest",
        recipients=own.recipients if own else [],
        transfers=own.transfers if own else "none outside the European Economic Area",
        sources=[
            Source(name, each.platform, each.url, each.names == "public", bool(getattr(each, "votes", False)))
            for name, each in config.instances.items()
        ],
        routes=[
            Crossing(
                name,
                each.source.instance,
                f"{each.to.instance}/{each.to.space}",
                config.instances[each.to.instance].url,
                each.author_names and config.instances[each.source.instance].names == "public",
                each.approval == "required",
            )
            for name, each in config.routes.items()
            if each.enabled
        ],
        retention={
            "gone": privacy.purge_gone_after,
            "versions": privacy.versions,
            **privacy.retention.model_dump(),
        },
        masked=privacy.mask,
        k=privacy.k,
        exports=privacy.exports,
        database="sqlite" if parse_url(config.database).get_backend_name() == "sqlite" else "postgresql",
    )
