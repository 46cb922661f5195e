"""`civicsync config`: show the configuration without its secrets, and the JSON Schema for editors."""

from typing import Annotated

import typer

from ...config.schema import json_schema
from ...config.shown import shown
from .common import configuration, out, print_json
from .state import state

app = typer.Typer(help="Show the configuration, or its schema.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show")
def show(json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False) -> None:
    """Print what was read, defaults included; secrets are starred out."""
    from ruamel.yaml import YAML

    data = shown(configuration(), state.config_file)
    if json:
        print_json(data)
        return
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(data, out.file)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    print_json(json_schema())
