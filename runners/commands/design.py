"""Commands about street designs: a file to draw one in, what it would change, and the city with it built."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, app

design_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Draw a street design, check it, build it on a city."
)
app.add_typer(design_app, name="design")

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A design: .gpkg, .geojson or .toml (see docs/street-design.md).")
]
CityOption = Annotated[Path, typer.Option("--city", metavar="CITY", help="The city bundle that it is drawn for.")]


@design_app.command("check")
def design_check(file: FileArgument, city: CityOption, as_json: JsonOption = False) -> None:
    """Say what each change of a design touches in a city; nothing is written.

    \b
    Example:
        citytwin design check superblock.gpkg --city town.city
    """
    from ...environment.city import City
    from ...environment.design import read_design

    design = read_design(file)
    report = design.check(City.load(city))
    if as_json:
        typer.echo(json.dumps({"design": design.name, "changes": report}, indent=2))
        return
    typer.echo(f"{design.name}: {len(report)} changes, fits {city}")
    for entry in report:
        when = f" ({entry['when']})" if entry["when"] else ""
        typer.echo(f"  {entry['feature']:>3}  {entry['change']:<11}{entry['what']}{when}")


@design_app.command("template")
def design_template(
    city: Annotated[Path, typer.Argument(metavar="CITY", help="A city bundle.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to make: ….gpkg")],
) -> None:
    """Write a GeoPackage to draw a design in: the streets of a city, and empty layers of changes.

    \b
    Example:
        citytwin design template town.city --out design.gpkg
    """
    from ...environment.city import City
    from ...environment.design import write_template

    write_template(City.load(city), out)
    typer.echo(
        f"{out}: layer 'streets' to look at; draw into changes_lines, changes_areas and changes_points, then\n"
        f"citytwin design check {out} --city {city}"
    )


@design_app.command("build")
def design_build(
    file: FileArgument,
    city: CityOption,
    out: Annotated[Path, typer.Option("--out", metavar="NEW", help="The bundle to make.")],
    as_json: JsonOption = False,
) -> None:
    """Keep the city with a design built on it as a bundle of its own.

    \b
    Example:
        citytwin design build superblock.gpkg --city town.city --out town-superblock.city
    """
    from ...environment.city import City
    from ...environment.design import read_design
    from ..reports.describe import city_facts, city_text

    built = read_design(file).apply(City.load(city))
    built.save(out)
    facts = city_facts(built)
    typer.echo(json.dumps(facts | {"path": str(out)}, indent=2) if as_json else f"{city_text(facts)}\n\nKept in {out}")
