"""The command line: `boreside serve | send | receive | simulate | demo | replay | export | models | ...`.

Whatever is heavy is imported by the subcommand that needs it, so that help comes at once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inline.errors import BoresideError, ConfigurationError

DEFAULT_ADDRESS = "127.0.0.1:9002"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit status: 0 done, 1 the node or the data had errors, 2 it could not be run."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except BoresideError as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        return 130


def _fail(message: str) -> int:
    sys.stderr.write(f"boreside: {message}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="boreside",
        description="Reconstruction and quality control beside the scanner. Research software, not a medical device.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (_serve, _send, _receive, _simulate, _demo, _replay, _export, _models, _qc, _audit, _doctor, _bench):
        add(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose arguments may be added late: when it is known that its command was asked for."""

    late: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        add, self.late = self.late, None
        if add is not None:
            add(self)
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    """Looks the version up only when asked: the look-up costs more than the rest of the help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from inline.console import version

        parser.exit(message=f"boreside {version()}\n")


def _serve(commands: Any) -> None:
    command = commands.add_parser("serve", help="run the node", description="Run the node until it is told to stop.")
    command.add_argument("--host", help="interface to listen on (default 127.0.0.1)")
    command.add_argument("--port", type=int, help="TCP port (default 9002)")
    command.add_argument("--config", type=Path, metavar="NODE.toml", help="settings of the site")
    command.add_argument("--state", type=Path, metavar="DIR", help="where journals and noise measurements are kept")
    command.set_defaults(run=_run_serve)


def _run_serve(arguments: argparse.Namespace) -> int:
    from inline.serve import serve
    from inline.settings import load

    given = {name: getattr(arguments, name) for name in ("host", "port", "state")}
    return serve(load(arguments.config, overrides=given))


def _send(commands: Any) -> None:
    command = commands.add_parser(
        "send", help="send a recorded scan to a node", description="Send a recorded scan as a scanner would."
    )
    command.add_argument("file", type=Path, metavar="FILE.h5", help="or a folder of DICOM-CT-PD views")
    _add_address(command)
    command.add_argument("--config", metavar="NAME", default="", help="route to run (default: by the trajectory)")
    command.add_argument("--param", action="append", default=[], metavar="K=V", help="parameter of the route")
    command.add_argument("-o", "--output", type=Path, metavar="OUT.h5", help="store the images that come back")
    command.add_argument("--dicom", type=Path, metavar="DIR", help="store CT images as DICOM objects, too")
    pace = command.add_mutually_exclusive_group()
    pace.add_argument("--paced", action="store_true", help="at the pace of the file's time stamps")
    pace.add_argument("--rate", type=_positive, metavar="HZ", help="readouts per second")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_run_send)


def _run_send(arguments: argparse.Namespace) -> int:
    from inline.scanner.client import parse_address, send
    from inline.scanner.source import open_source
    from inline.scanner.store import Store
    from inline.scanner.summary import summarise

    with contextlib.ExitStack() as stack:
        # whether the images can be stored is settled before the scan, not after
        store = stack.enter_context(Store(arguments.output)) if arguments.output else None
        conversation = send(
            arguments.file,
            parse_address(arguments.address),
            route=arguments.config,
            parameters=dict(_parameter(text) for text in arguments.param),
            paced=arguments.paced,
            rate_hz=arguments.rate,
        )
        if store is not None:
            with open_source(arguments.file) as recording:
                store.header(recording.xml)
            store.images(arrival.image for arrival in conversation.images)
        if arguments.dicom is not None:
            from inline.dicom.ct_image import save

            with open_source(arguments.file) as recording:
                save((arrival.image for arrival in conversation.images), recording.xml, arguments.dicom)
    return _tell(summarise(conversation), as_json=arguments.json)


def _receive(commands: Any) -> None:
    command = commands.add_parser(
        "receive",
        help="take CT projections by DICOM",
        description="Take DICOM-CT-PD views by C-STORE or from a folder, and pass each on to a node at once.",
    )
    command.late = _receive_arguments
    command.set_defaults(run=_run_receive)


def _receive_arguments(command: argparse.ArgumentParser) -> None:
    from inline.dicom.receive import add_arguments

    add_arguments(command)
    _add_address(command)
    command.add_argument("--param", action="append", default=[], metavar="K=V", help="parameter of the route")


def _run_receive(arguments: argparse.Namespace) -> int:
    from inline.dicom.receive import run

    return run(arguments, dict(_parameter(text) for text in arguments.param), _say)


def _simulate(commands: Any) -> None:
    command = commands.add_parser(
        "simulate", help="simulate a scan", description="Simulate a scan: an ISMRMRD file with the truth beside it."
    )
    command.late = _simulate_arguments
    command.set_defaults(run=_run_simulate)


def _simulate_arguments(command: argparse.ArgumentParser) -> None:
    from inline.scanner.simulate import add_arguments

    add_arguments(command)


def _run_simulate(arguments: argparse.Namespace) -> int:
    from inline.scanner.simulate import run

    run(arguments)
    return 0


def _demo(commands: Any) -> None:
    command = commands.add_parser(
        "demo",
        help="see it work, without a scanner",
        description="Start a node, stream simulated scans to it at a scanner's pace, show images, latency, findings.",
    )
    command.add_argument("--report", type=Path, default=Path("report.html"), metavar="REPORT.html")
    command.set_defaults(run=_run_demo)


def _run_demo(arguments: argparse.Namespace) -> int:
    from inline.demo import demo

    return demo(arguments.report, say=_say)


def _replay(commands: Any) -> None:
    command = commands.add_parser(
        "replay",
        help="play a journal again",
        description="Play the bytes of a journal into a node and show what comes back.",
    )
    command.add_argument("journal", type=Path, metavar="JOURNAL")
    command.add_argument("--address", metavar="HOST:PORT", help="node to play to (default: one started for this)")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_run_replay)


def _run_replay(arguments: argparse.Namespace) -> int:
    from inline.replay import replay
    from inline.scanner.client import parse_address
    from inline.scanner.summary import summarise

    address = parse_address(arguments.address) if arguments.address else None
    return _tell(summarise(replay(arguments.journal, address)), as_json=arguments.json)


def _export(commands: Any) -> None:
    command = commands.add_parser(
        "export", help="turn a journal into an ISMRMRD file", description="Turn a journal into an ISMRMRD HDF5 file."
    )
    command.add_argument("journal", type=Path, metavar="JOURNAL")
    command.add_argument("output", type=Path, metavar="OUT.h5")
    command.set_defaults(run=_run_export)


def _run_export(arguments: argparse.Namespace) -> int:
    from inline.replay import export

    for line in export(arguments.journal, arguments.output):
        _say(line)
    return 0


def _models(commands: Any) -> None:
    command = commands.add_parser(
        "models", help="list or verify the networks", description="List the networks, or verify them on this machine."
    )
    command.add_argument("what", choices=("list", "verify"))
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_run_models)


def _run_models(arguments: argparse.Namespace) -> int:
    from inline.models import run

    return run(arguments.what, as_json=arguments.json, say=_say)


def _qc(commands: Any) -> None:
    command = commands.add_parser(
        "qc",
        help="calibrate the limits of quality control on scans of this site",
        description="Learn limits from clean scans, or check that a limits file is as it was signed.",
    )
    command.add_argument("what", choices=("calibrate", "verify"))
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="clean scans, or the limits to verify")
    command.add_argument("-o", "--output", type=Path, metavar="LIMITS.toml", help="limits that calibrate writes")
    command.add_argument("--amber-rate", type=_positive, default=0.1, metavar="P", help="false alarms (default 0.1)")
    command.add_argument("--red-rate", type=_positive, default=0.02, metavar="P", help="false alarms (default 0.02)")
    command.add_argument("--protocol", default="*", metavar="PATTERN", help="protocols it is for (default: all)")
    command.set_defaults(run=_run_qc)


def _run_qc(arguments: argparse.Namespace) -> int:
    from inline.calibrate import calibrate, verify

    if arguments.what == "verify":
        return max([verify(path, _say) for path in arguments.files])
    if arguments.output is None:
        raise ConfigurationError("calibrate needs an --output to write the limits to")
    rates = {"amber": arguments.amber_rate, "red": arguments.red_rate}
    return calibrate(arguments.files, arguments.output, **rates, protocol=arguments.protocol, say=_say)


def _audit(commands: Any) -> None:
    command = commands.add_parser(
        "audit",
        help="check the audit log, or note an override",
        description="Check that no line of the audit log was changed, or note why a finding was overridden.",
    )
    command.add_argument("what", choices=("verify", "override"))
    command.add_argument("--state", type=Path, metavar="DIR", help="the node's state folder (default: its settings')")
    command.add_argument("--cause", help="of the finding that is overridden")
    command.add_argument("--reason", help="why, without naming a patient")
    command.set_defaults(run=_run_audit)


def _run_audit(arguments: argparse.Namespace) -> int:
    from inline.audit import run

    if arguments.what == "override" and not (arguments.cause and arguments.reason):
        raise ConfigurationError("an override needs its --cause and its --reason")
    if arguments.state is None:
        from inline.settings import load

        arguments.state = load().state
    return run(arguments, _say)


def _doctor(commands: Any) -> None:
    command = commands.add_parser(
        "doctor", help="check this machine", description="Check whether this machine can run a node, and what to do."
    )
    command.add_argument("--selftest", action="store_true", help="compute on this machine and compare with the truth")
    command.add_argument("--report", type=Path, default=Path("selftest.json"), help="what --selftest writes")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=_run_doctor)


def _run_doctor(arguments: argparse.Namespace) -> int:
    if arguments.selftest:
        from inline.selftest import run

        return run(arguments.report, as_json=arguments.json, say=_say)
    import json

    from inline.doctor import examine
    from inline.settings import load

    settings = load()
    checks = examine(settings.host, settings.port, settings.state)
    if arguments.json:
        _say(json.dumps({"ok": all(check.passed for check in checks), "checks": [check.as_dict() for check in checks]}))
    else:
        for check in checks:
            _say(check.line())
    return 0 if all(check.passed for check in checks) else 1


def _bench(commands: Any) -> None:
    command = commands.add_parser(
        "bench",
        help="measure how long images take on this machine",
        description="Stream simulated scans at a scanner's pace and count from when the last readout was due.",
    )
    command.late = _bench_arguments
    command.set_defaults(run=_run_bench)


def _bench_arguments(command: argparse.ArgumentParser) -> None:
    from inline.bench.command import add_arguments

    add_arguments(command)


def _run_bench(arguments: argparse.Namespace) -> int:
    from inline.bench.command import run

    return run(arguments)


def _add_address(command: argparse.ArgumentParser) -> None:
    command.add_argument("--address", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help=f"default {DEFAULT_ADDRESS}")


def _tell(summary: Any, *, as_json: bool) -> int:
    if as_json:
        import json

        _say(json.dumps(summary.as_dict()))
    else:
        for line in summary.lines():
            _say(line)
    return 0 if summary.succeeded else 1


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigurationError(f"{text!r} is no parameter; write --param name=value")
    return name, value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
