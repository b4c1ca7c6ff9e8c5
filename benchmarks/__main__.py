"""`python -m benchmarks [--json] [ROW…]`.

Exit status 0; 1 if a goal is missed or a side gives no number; 2 for wrong use.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import report
from .libotr import Libotr, LibotrFailed
from .measure import ROUNDS, SAMPLES, Result, measure
from .ours import Ours, WorkNotDone
from .rows import ROWS, Row


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measures otrcore against libotr.")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples of each side in a round")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds, of which the best counts")
    parser.add_argument("rows", metavar="ROW", nargs="*", help=f"{', '.join(row.key for row in ROWS)}; all")
    options = parser.parse_args(arguments)
    if unknown := set(options.rows).difference(row.key for row in ROWS):
        parser.error(f"there is no row called {', '.join(sorted(unknown))}")
    if min(options.samples, options.rounds) < 1:
        parser.error("at least one sample and one round are needed")
    return options


def run(rows: Sequence[Row], samples: int, rounds: int, *, as_table: bool) -> list[Result]:
    """Measure; a table's rows are printed as they are done, since all of them take minutes."""
    results = []
    with Libotr() as libotr:
        ours = Ours()
        for row in rows:
            results.append(measure(row, ours, libotr, samples, rounds))
            if as_table:
                print(report.line(results[-1]), flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    rows = [row for row in ROWS if row.key in (options.rows or {row.key})]
    if not options.json:
        print(report.heading(), flush=True)
    try:
        results = run(rows, options.samples, options.rounds, as_table=not options.json)
    except (LibotrFailed, WorkNotDone) as error:
        print(f"Nothing to compare: {error}", file=sys.stderr)
        return 1
    print(report.as_json(results) if options.json else report.conditions(options.samples, options.rounds))
    misses = report.missed(results)
    for sentence in misses:
        print(sentence, file=sys.stderr)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
