"""What ``boreside bench`` takes, and what it does."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from inline.bench.bench import bench
from inline.bench.page import render
from inline.bench.result import Plan
from inline.scanner.client import parse_address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    usual = Plan()
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--target", metavar="HOST:PORT", help="a running node (default: fresh ones of its own)")
    parser.add_argument(
        "--scans", type=_count, default=usual.scans, help=f"warm scans of a kind (default {usual.scans})"
    )
    parser.add_argument(
        "--concurrent", type=_count, default=usual.concurrent, help=f"scans at once (default {usual.concurrent})"
    )
    parser.add_argument(
        "--sustained",
        type=_seconds,
        default=usual.sustained_s,
        metavar="SECONDS",
        help=f"all kinds in turn for so long (default {usual.sustained_s:g}; 0 for not at all)",
    )
    parser.add_argument("--page", type=Path, default=Path("bench.html"), metavar="BENCH.html", help="page to write")


def run(arguments: argparse.Namespace) -> int:
    """Measure, write the page, print figures; 1 if a scan could not be counted, otherwise 0."""
    target = parse_address(arguments.target) if arguments.target else None
    with arguments.page.open("a"):  # whether it can be written is settled before the minute, not after
        pass

    def say(line: str) -> None:
        (sys.stderr if arguments.json else sys.stdout).write(line + "\n")

    result = bench(Plan(target, arguments.scans, arguments.concurrent, arguments.sustained), say)
    arguments.page.write_text(render(result), encoding="utf-8")
    if arguments.json:
        sys.stdout.write(json.dumps(result.as_dict()) + "\n")
    say(f"GPU: {result.gpu}")
    say(f"the page is {arguments.page.resolve().as_uri()}")
    for trouble in result.troubles:
        sys.stderr.write(f"not counted: {trouble}\n")
    return 1 if result.troubles else 0


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few; give 1 or more")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no duration in seconds")
    return value
