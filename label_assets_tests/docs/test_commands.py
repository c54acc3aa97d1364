"""Every block of code in README.md, docs/ and deploy/README.md is checked, or its page says why it is not run.

What "checked" means, block by block:

* **executed**, the default: `label-assets …` runs in this process with the real command line, in a folder of its own,
  on a market stored in the real engine; `export` sets the environment of the block's later commands; `curl` asks the
  real application, in this process, on the same market, and its answer must be an error where the page shows one, and
  begin as the page shows it.
* `<!-- parsed: why -->` before a block: every command is read by its own command line, and not run: options and their
  values for `label-assets` and `python -m benchmarks.…`, targets for `make` (`make --dry-run`).
* `<!-- not run: why -->`: only the program is looked at, which must be one we know; `label-assets` and `make` in
  it are parsed all the same.
* Python is compiled and its imports from us are made; TOML and YAML are read, and TOML's keys are settings.
* `<!-- output: of what -->`, `<!-- not a command: what it is -->`: text that nobody types.

A block that is none of these fails. docs/quickstart.md is executed as a shell would, in `test_quickstart`.
"""

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from label_assets.cli import app
from label_assets.settings import Settings
from label_assets_tests.docs.blocks import PROGRAMS, Block, blocks_of, commands_of
from label_assets_tests.serving.conftest import api, redis_url, stored, summarized  # noqa: F401 - fixtures
from label_assets_tests.ui.development import free_port

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy" / "README.md"]
QUICKSTART = ROOT / "docs" / "quickstart.md"
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMANDS = [block for block in BLOCKS if block.kind == "commands"]
UNENDING = frozenset({"demo", "dev", "serve", "live", "monitor", "feed", "materialize", "backfill"})
"""Commands that are servers or take minutes: not for a process of tests, so their blocks need a mark."""
EXECUTED = [block for block in COMMANDS if block.mark is None and block.page != QUICKSTART]


def name_of(block: Block) -> str:
    """Page and first words: line numbers change."""
    return f"{block.page.parent.name}-{block.page.stem}-{'_'.join(block.text.split()[:4])}".replace("/", "_")[:70]


def parse(words: list[str]) -> None:
    """Read a command with its own command line; raise where it would be refused."""
    program = words[0].removeprefix(".venv/bin/")
    if program == "label-assets":
        command: Any = typer.main.get_command(app)
        name, rest, context = program, words[1:], None
        while True:
            context = command.make_context(name, list(rest), parent=context)
            if not hasattr(command, "resolve_command"):
                return
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    elif program == "make":
        done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif program == "python" and words[1] == "-m" and words[2].startswith("benchmarks."):
        importlib.import_module(words[2]).parser().parse_args(words[3:])
    elif program == "python" and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file(), f"{words[1]} is not in the repository"


def shown_answer(block: Block, command: list[str]) -> str:
    """What the page shows below a command, until the next one."""
    for part in block.text.split("\n$ "):
        first, _, rest = part.partition("\n")
        if shlex.split(first.removeprefix("$ ").rstrip("\\"))[: len(command)][:2] == command[:2]:
            return rest
    raise AssertionError(f"{command} is not in the block")


def ask(client: TestClient, words: list[str], shown: str) -> None:
    """Do what curl would; compare status and keys with what the page shows."""
    headers: dict[str, str] = {}
    method, body, address = "GET", None, ""
    options = iter(words[1:])
    for word in options:
        if word in {"-H", "--header"}:
            key, _, value = next(options).partition(":")
            headers[key] = value.strip()
        elif word in {"-X", "--request"}:
            method = next(options)
        elif word in {"-d", "--data"}:
            method, body = "POST", next(options)
        elif word in {"-D"}:
            assert next(options) == "-"
        else:
            assert not word.startswith("-"), f"curl {word}: teach this test what it does"
            address = word
    prefix = "http://127.0.0.1:8000"
    assert address.startswith(prefix), f"the page's server is at {prefix}"
    answer = client.request(method, address.removeprefix(prefix), headers=headers, content=body)
    is_problem = "urn:label-assets:problem" in shown
    assert (answer.status_code >= 400) == is_problem, answer.text
    if begins := re.search(r'^\{"(\w+)"', shown, re.MULTILINE):
        assert begins[1] == next(iter(answer.json())), answer.text[:300]


@pytest.mark.parametrize("block", BLOCKS, ids=name_of)
def test_every_block_is_of_a_kind(block: Block) -> None:
    place = f"{block.page.name}:{block.line}"
    assert block.kind != "unknown", f"{place}: no kind of block that we know; mark it: see this module\n{block.text}"
    if block.kind == "commands":
        for words in commands_of(block):
            program = words[0].removeprefix(".venv/bin/")
            assert program in PROGRAMS, f"{place}: {program} is no program that our pages use"
            parse(words)
    elif block.kind == "python":
        tree = ast.parse(block.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("label_assets"):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, alias.name) for alias in node.names), place
    elif block.kind == "toml":
        assert set(tomllib.loads(block.text)) <= set(Settings.model_fields), place
    elif block.kind == "yaml":
        assert yaml.safe_load(block.text), place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("block", EXECUTED, ids=name_of)
def test_commands_do_what_they_say(
    block: Block,
    stored: Settings,  # noqa: F811
    summarized: TestClient,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLICKHOUSE_URL", str(stored.clickhouse_url))
    monkeypatch.setenv("LABEL_ASSETS_DATABASE", stored.database)
    monkeypatch.setenv("LABEL_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for words in commands_of(block):
        if words[0] == "export":
            for assignment in words[1:]:
                name, _, value = assignment.partition("=")
                monkeypatch.setenv(name, value)
        elif words[0] == "label-assets" and words[1] not in UNENDING:
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, (words, done.output, done.exception)
            assert done.output.strip(), "it says nothing"
        elif words[0] == "curl":
            ask(summarized, words, shown_answer(block, words))
        else:
            pytest.fail(
                f"{block.page.name}:{block.line}: {' '.join(words[:2])} is not run by this test; mark the block"
            )


@pytest.mark.slow
def test_quickstart(tmp_path: Path) -> None:
    """The page as one script of a shell, in a folder that has nothing but `examples/`; only the port is another."""
    blocks = [block for block in COMMANDS if block.page == QUICKSTART and block.mark is None]
    assert len(blocks) == 6
    port = free_port()
    script = "\n".join(block.text for block in blocks)
    assert "label-assets serve &" in script
    script = script.replace("label-assets serve &", f"label-assets serve --port {port} &").replace(
        ":8000/", f":{port}/"
    )
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    home = tmp_path / ".label_assets_own"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        done = subprocess.run(
            ["bash", "-emc", script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "LABEL_ASSETS_PICTURES": "false"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = " ".join(done.stdout.split())
        for block in BLOCKS:
            if block.page == QUICKSTART and block.mark == "output" and blocks[0].line < block.line < blocks[-1].line:
                for line in block.text.replace("…", "\n").split("\n"):
                    assert " ".join(line.split()) in said, (block.line, line, done.stdout)
    finally:
        subprocess.run(
            [sys.executable, "-m", "label_assets.cli", "stop"],
            env={**os.environ, "LABEL_ASSETS_HOME": str(home)},
            check=False,
            capture_output=True,
        )


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["label-assets", "backfill", "--from", "2024-01", "--to", "2024-02", "--missing"], "--missing"),
        (["label-assets", "backfil"], "backfil"),
        (["label-assets", "serve", "--port", "many"], "valid integer"),
        (["make", "dmeo"], "dmeo"),
    ],
    ids=["option", "command", "value", "target"],
)
def test_a_command_that_does_not_exist_is_found(words: list[str], refusal: str) -> None:
    with pytest.raises(Exception, match=refusal):
        parse(words)


def test_marks_and_kinds(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        'Text\n    is no block.\n\n    label-assets stop   # ends\n    label-assets sql "SELECT\n        1"\n\n'
        "<!-- not run: needs a cluster -->\n\n    kubectl apply -k deploy\n\n"
        "```\nwhat is this\n```\n\n    $ label-assets stop\n    nothing ran\n"
    )
    first, second, third, fourth = blocks_of(page)
    assert commands_of(first) == [["label-assets", "stop"], ["label-assets", "sql", "SELECT\n    1"]]
    assert (second.mark, second.reason, second.kind) == ("not run", "needs a cluster", "commands")
    assert (third.kind, third.mark) == ("unknown", None)
    assert commands_of(fourth) == [["label-assets", "stop"]]
