"""Copies that no route follows where they are: somebody changed its `to:`, or its name. A run warns of them. Asks nobody."""

from collections.abc import Iterator, Mapping

from ...config.model import Config


def left_behind(places: Mapping[tuple[str, str, str], int], config: Config, name: str) -> Iterator[str]:
    """A sentence for each place where copies of a route were left. `places`: how many stand, by route, instance and space."""
    to = config.routes[name].to
    for (route, instance, space), many in sorted(places.items()):
        if route not in config.routes and instance == to.instance:
            yield (
                f"{many} copies at {instance} {space} were made by the route {route!r}, which is not configured any more: "
                "nothing of them follows their originals until a route has that name again"
            )
        if route != name or (instance, space) == (to.instance, to.space):
            continue
        if instance in config.instances:
            then = "they are not edited or answered any more, and taken back when their origins go"
        else:
            then = f"no instance {instance!r} is configured any more, so nobody takes them back"
        yield f"{many} copies lie at {instance} {space}, where the route led before: {then}"
