"""Commands about cities: make one, or look at one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import LARGEST_SEED, JsonOption, app

city_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make a city, or look at one.")
app.add_typer(city_app, name="city")

CityOutOption = Annotated[Path, typer.Option("--out", help="The bundle to make: a directory, by custom called ….city.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Seed of everything that is drawn.")]


def _printable(name: str | None) -> str | None:
    if name is not None and not (name.strip() and name.isprintable() and len(name) <= 100):
        raise typer.BadParameter(f"{name!r}: must have 1 to 100 characters, and no control characters")
    return name


NameOption = Annotated[str | None, typer.Option("--name", callback=_printable, help="Name of the city.")]
_COUNTRY_HELP = "Country whose ages residents have: DE (when left out), FR, IT, ES or CH."
CountryOption = Annotated[str | None, typer.Option("--country", help=_COUNTRY_HELP)]


@city_app.command("synthetic")
def city_synthetic(
    people: Annotated[int, typer.Option("--people", help="Residents, 1,000 to 10,000,000.")],
    out: CityOutOption,
    seed: SeedOption = 1,
    name: NameOption = None,
    country: CountryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Invent a plausible European city of any size.

    \b
    Example:
        citytwin city synthetic --people 100000 --seed 7 --out toy.city
    """
    from ...environment.city import City

    _keep_city(lambda: City.synthetic(people, seed=seed, name=name, country=country or "DE"), out, as_json)


@city_app.command("osm")
def city_osm(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An extract: .osm.pbf, .osm, .osm.gz or .osm.bz2.")],
    out: CityOutOption,
    people: Annotated[
        int | None, typer.Option("--people", min=1, help="Residents; left out, what the extract itself states.")
    ] = None,
    seed: SeedOption = 1,
    census: Annotated[
        Path | None, typer.Option("--census", help="TOML that names zones, and a table of their ages and households.")
    ] = None,
    name: NameOption = None,
    country: CountryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a city of a town in OpenStreetMap.

    \b
    Examples:
        citytwin city osm town.osm.pbf --people 50000 --out town.city
        citytwin city osm town.osm.pbf --census census.toml --out town.city
    """
    from ...environment.city import City

    _keep_city(
        lambda: City.from_osm(file, people=people, seed=seed, census=census, name=name, country=country), out, as_json
    )


@city_app.command("census")
def city_census(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="TOML that names zones, and a table of their ages and households.")
    ],
    out: CityOutOption,
    seed: SeedOption = 1,
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a city of a census by zone: residents as counted, streets and buildings invented.

    \b
    Example:
        citytwin city census census.toml --out town.city
    """
    from ...environment.city import City

    _keep_city(lambda: City.from_census(file, seed=seed, name=name), out, as_json)


@city_app.command("sumo")
def city_sumo(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A network of SUMO: .net.xml or .net.xml.gz.")],
    out: CityOutOption,
    additional: Annotated[
        list[Path] | None,
        typer.Option("--additional", help="File with signal programs that replace its own; repeatable."),
    ] = None,
    name: NameOption = None,
    crs: Annotated[
        str | None, typer.Option("--crs", help="Projected CRS of the coordinates, if the file states no UTM zone.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a city of a network of SUMO: streets, turns and signals, where nobody lives.

    \b
    Example:
        citytwin city sumo bologna.net.xml --additional tls.add.xml --out bologna.city
    """
    from ...environment.city import City

    _keep_city(lambda: City.from_sumo(file, additional or (), name, crs), out, as_json)


@city_app.command("lines")
def city_lines(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Lines: GeoPackage, GeoJSON, GeoParquet, Shapefile, CSV."),
    ],
    out: CityOutOption,
    direction: Annotated[
        str, typer.Option("--direction", help="along the lines as drawn, against, both, or the column that says it.")
    ] = "both",
    meaning: Annotated[
        list[str] | None,
        typer.Option(
            "--meaning", metavar="VALUE=WORD", help="Direction a value of that column means, as in yes=along."
        ),
    ] = None,
    speed: Annotated[str, typer.Option("--speed", help="km/h, or the column that holds it.")] = "50",
    lanes: Annotated[str, typer.Option("--lanes", help="Lanes a direction, or the column that holds them.")] = "1",
    rank: Annotated[
        str, typer.Option("--rank", help="Rank, 0 motorway to 11 path, or the column that holds it.")
    ] = "5",
    street: Annotated[str | None, typer.Option("--street", help="Column with the names of streets.")] = None,
    snap: Annotated[float, typer.Option("--snap", help="Metres within which ends are one junction.")] = 1.0,
    aside: Annotated[
        str, typer.Option("--aside", help="Metres that lines lie to the right of their street, or the column.")
    ] = "0",
    geometry: Annotated[str, typer.Option("--geometry", help="Column of a CSV that holds the lines.")] = "",
    crs: Annotated[str, typer.Option("--crs", help="CRS of a CSV.")] = "EPSG:4326",
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a city of lines of streets, as GIS sections or traffic counts have them, where nobody lives.

    \b
    Example:
        citytwin city lines sections.gpkg --direction oneway --meaning yes=along --meaning no=both --speed vmax \\
            --out town.city
    """
    from ...environment.city import City

    pairs = [text.rpartition("=") for text in meaning or ()]
    wrong = [text for text, (_, sign, word) in zip(meaning or (), pairs, strict=True) if not sign or not word]
    if wrong:
        raise typer.BadParameter(f"--meaning {wrong[0]}: write VALUE=WORD, as in yes=along")
    columns = {
        "direction": direction,
        "meaning": {value: word for value, _, word in pairs} or None,
        "speed": _number_or_name(speed),
        "lanes": _number_or_name(lanes),
        "rank": _number_or_name(rank),
        "aside": _number_or_name(aside),
        "snap": snap,
        "street": street,
    }
    _keep_city(lambda: City.from_lines(file, name, geometry=geometry, crs=crs, **columns), out, as_json)


def _number_or_name(text: str) -> float | str:
    """Return a number where the text is one, else the text, which names a column."""
    try:
        return float(text)
    except ValueError:
        return text


def _keep_city(build: Callable[[], Any], out: Path, as_json: bool) -> None:
    from ...environment.city import CityError
    from ..progress import sign_of_life
    from ..reports.describe import city_facts, city_text

    if out.exists():
        raise CityError(f"{out}: exists already; choose another name or remove it first")
    with sign_of_life("building the city"):
        city = build()
        city.save(out)
    facts = city_facts(city)
    typer.echo(json.dumps(facts | {"path": str(out)}, indent=2) if as_json else f"{city_text(facts)}\n\nKept in {out}")


@city_app.command("show")
def city_show(
    bundle: Annotated[Path, typer.Argument(metavar="CITY", help="A city bundle.")],
    as_json: JsonOption = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw a map as well: .png, .svg or .pdf.")
    ] = None,
) -> None:
    """Say what is in a city: people, places, roads, sources and licences.

    \b
    Examples:
        citytwin city show toy.city
        citytwin city show toy.city --picture toy.png
    """
    from ...environment.city import City
    from ..reports.describe import city_facts, city_text

    city = City.load(bundle)
    if picture is not None:
        from ..reports.maps import save_map

        save_map(city, picture)
    facts = city_facts(city)
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else city_text(facts))
    if picture is not None:
        typer.echo(f"\nMap: {picture}", err=as_json)


@city_app.command("contacts")
def city_contacts(
    bundle: Annotated[Path, typer.Argument(metavar="CITY", help="A city bundle.")],
    bands: Annotated[
        str, typer.Option("--bands", help="First age of each band, rising from 0.")
    ] = "0,5,10,15,20,30,40,50,60,70",
    minutes: Annotated[
        int, typer.Option("--minutes", min=15, max=24 * 60, help="Time together on a day from which on it counts.")
    ] = 15,
    as_json: JsonOption = False,
) -> None:
    """Say whom people meet: contacts a day by age of both, on the visits of the city.

    \b
    Examples:
        citytwin city contacts toy.city
        citytwin city contacts toy.city --bands 0,18,65 --minutes 60 --json
    """
    from ...agents.epidemic.figures import contact_matrix
    from ...environment.city import City, CityError
    from ...environment.schedules import SLOT_MINUTES
    from ..reports.describe import contacts_text

    city = City.load(bundle)
    if not len(city.people):
        raise CityError(f"{bundle}: nobody lives in this city, so nobody meets")
    ages = bands.split(",")
    if not all(age.strip().isdigit() for age in ages):
        raise CityError(f"--bands {bands}: write the first age of each band, as in 0,18,65")
    first = [int(age) for age in ages]
    try:
        matrix = contact_matrix(city, first, minimum=-(-minutes // SLOT_MINUTES))
    except ValueError as error:
        raise CityError(f"--bands {bands}: {error}") from None
    if as_json:
        facts = {
            "bands": first,
            "minutes": minutes,
            "contacts": [[round(x, 4) for x in row] for row in matrix.tolist()],
        }
        typer.echo(json.dumps(facts, indent=2).replace("NaN", "null"))
    else:
        typer.echo(contacts_text(city.info.name, first, minutes, matrix))
