"""The README tells the truth: its test command is the one CI runs, and its commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]


def indented(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if re.match(r" {4,}\S", line)]


def commands() -> list[str]:
    lines = [line for document in DOCUMENTS for line in indented(document.read_text(encoding="utf-8"))]
    return sorted({line for line in lines if line.startswith("boreside ")})


def help_of(*words: str) -> str:
    command = [sys.executable, "-m", "inline.cli", *words, "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_ci_runs_the_tests_exactly_as_the_readme_does():
    (tests,) = [line for line in indented(README) if "pytest" in line]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert tests in ci


def test_the_demo_is_one_command_on_the_first_screen():
    assert "    pip install . && boreside demo\n" in README
    assert README.splitlines().index("    pip install . && boreside demo") < 25


@pytest.mark.parametrize("command", commands())
def test_commands_in_the_documents_exist(command):
    _, subcommand, *words = shlex.split(command, comments=True)
    # each kind of simulated scan has options of its own
    text = help_of(subcommand, *(words[:1] if subcommand == "simulate" else ()))
    for option in (word.partition("=")[0] for word in words if word.startswith("-")):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), f"{subcommand} has no {option}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (document.parent / target).exists(), target
