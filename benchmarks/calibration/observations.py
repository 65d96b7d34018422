"""Observations of Emilia-Romagna's hospitals, spring 2020, for ``citytwin calibrate``.

    python benchmarks/calibration/observations.py DATA emilia-romagna.csv [--people 100000]

``DATA`` holds the folder ``emilia_romagna_covid`` with the daily file of the region, as published by the Dipartimento della
Protezione Civile (pcm-dpc/COVID-19, CC BY 4.0): ``data`` (date and hour), ``totale_ospedalizzati`` (people in hospital,
intensive care included), ``terapia_intensiva`` (those in intensive care), ``deceduti`` (deaths so far); and the residents of
each region by age. Figures are left as they were counted: a city of fewer people is told by the ``scale`` of the scenario,
which this prints for ``--people``. Deaths are differenced; corrections of the cumulated series can make a day negative, and
such days are left empty.
"""

import argparse
import csv
from datetime import date
from pathlib import Path

FIRST, LAST = date(2020, 2, 24), date(2020, 5, 31)
FOLDER = "emilia_romagna_covid"
REGION = 8
COLUMNS = ("date", "in_hospital", "in_icu", "deaths")


def read_region(data: Path) -> list[tuple[str, int, int, int | None]]:
    """Return (date, in hospital, in intensive care, deaths of the day) from the first to the last day.

    Args:
        data: folder that holds the data set's folder.
    """
    rows = []
    before = 0
    with (data / FOLDER / "region_daily_hospital_icu_deaths.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            day = row["data"][:10]
            if not FIRST <= date.fromisoformat(day) <= LAST:
                continue
            deaths = int(row["deceduti"])
            new = deaths - before
            rows.append(
                (day, int(row["totale_ospedalizzati"]), int(row["terapia_intensiva"]), new if new >= 0 else None)
            )
            before = deaths
    return rows


def residents(data: Path) -> int:
    """Return the residents of the region."""
    with (data / FOLDER / "population_by_region_age_istat.csv").open(encoding="utf-8") as file:
        return sum(int(row["totale_generale"]) for row in csv.DictReader(file) if int(row["codice_regione"]) == REGION)


def write(rows: list[tuple[str, int, int, int | None]], path: Path) -> None:
    """Write observations as CSV, missing ones empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def main() -> None:
    """Write the file and say the scale."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=100_000, help="people of the city that stands for the region")
    given = parser.parse_args()
    write(read_region(given.data), given.out)
    number = residents(given.data)
    print(f"{given.out}: {number:,} residents, {number / given.people:.1f} for each of a city of {given.people:,}")


if __name__ == "__main__":
    main()
