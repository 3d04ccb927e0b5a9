"""The command line: its commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence

import click

from ..errors import NoiseformError, PluginError, ResourceError
from ..machine.interrupts import EndingHandler, ending_signals, interrupts_kept
from ..machine.standard_streams import STANDARD_OUTPUT, open_closed_streams, output_named
from ..machine.threads import wait_briefly
from ..naming import printable
from ..registration.installed import installed
from ..registration.registry import current
from ..registration.targets import PACKAGE
from .hung_up import heard_or_not
from .lazy_group import DEBUG_KEY, PLUGIN_KEY, Entry, LazyGroup, common_options

__all__ = ["COMMANDS", "main"]

MAX_MESSAGE = 2000  # characters of an error line: room for a long path, and no terminal full of text
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EMFILE}

COMMANDS = {
    name: Entry(f"noiseform.core.cli.{target}", summary)
    for name, target, summary in (
        ("generate", "generate:generate", "Make media out of noise."),
        ("edit", "edit:edit", "Change an item: a part of it, its ends, or the whole."),
        ("upscale", "upscale:upscale", "Make an item larger."),
        ("train", "train:train", "Train a model as a recipe says."),
        ("evaluate", "evaluate:evaluate", "Measure a pipeline on real media."),
        ("replay", "replay:replay", "Make a file again from the record inside it, and compare."),
        ("convert", "convert:convert", "Make a model folder of a model in another layout."),
        ("grid", "grid:grid", "Compute the best times of few steps for a model."),
        ("list", "listing:list_parts", "List the parts that plugins provide."),
        ("show", "show:show", "Show a part: its parameters, its source, an example."),
        ("compat", "compat:compat", "Say which parts work together."),
        ("plugins", "plugins:plugins", "Look at the plugins and what became of them."),
        ("registry", "registry:registry", "Look at the merged registry."),
    )
}


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: like an interrupt, so that everything is cleaned up and no plugin swallows it.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 ok, 2 usage or configuration, 3 media, 4 model, 5 plugin, 6 resources, 7 numeric, 129 SIGHUP, 130 SIGINT,
    143 SIGTERM, 141 when the reader of the output went away, 1 for a bug.

    Args:
        argv: the arguments; without them, those of the process.
    """
    open_closed_streams()
    wait_briefly()
    # Else importing pydantic reads the entry points of everything that is installed, and one damaged file ends it;
    # noiseform needs none of pydantic's plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    before = set(threading.enumerate())
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        _tell_waiting(before)
        return code
    except Terminated as error:
        return 128 + error.signal
    except KeyboardInterrupt:  # a second one, while the first was being told
        return 130


def _run(arguments: list[str]) -> int:
    """Run a command and tell its error."""
    debug = "--debug" in arguments
    group = _group()
    context: click.Context | None = None
    try:
        with _plain_warnings(), _interruptible(), interrupts_kept(), output_named():
            try:
                installed()  # before torch is imported, since what is damaged must be known by then
                context = group.make_context("noiseform", arguments)
                context.meta[DEBUG_KEY] = debug
                with context:
                    group.invoke(context)
            except click.exceptions.Exit as exit_:
                return exit_.exit_code
        return 0
    except BaseException as error:
        code, message = _verdict(error, context)
        if debug:
            traceback.print_exc()
        if message:
            with heard_or_not():
                click.echo(f"error: {printable(message, MAX_MESSAGE)}", err=True)
        return code


def _tell_waiting(before: set[threading.Thread]) -> None:
    """Say so where Python will wait for threads of a plugin before the process ends."""
    waiting = [one for one in threading.enumerate() if one not in before and not one.daemon]
    if not waiting:
        return
    with contextlib.suppress(NoiseformError):
        outsiders = [one for one in current().plugins.plugins if one.usable and not one.candidate.builtin]
        if outsiders:  # else they are of a library, which knows to end them
            names = ", ".join(repr(one.name) for one in waiting)
            told = f"all is done; waiting for threads that a plugin started: {names} (plugins doctor may say which)"
            click.echo(f"warning: {printable(told, MAX_MESSAGE)}", err=True)


def _group() -> LazyGroup:
    """Return the command ``noiseform``; made for each run, since click's parameters keep no state of one."""
    version = str(importlib.import_module(PACKAGE).__version__)
    group = LazyGroup(
        "noiseform",
        COMMANDS,
        help="Turn noise into media: a small diffusion core; everything else is a plugin.",
        params=list(common_options()),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    return click.version_option(version, prog_name="noiseform")(group)


def _verdict(error: BaseException, context: click.Context | None) -> tuple[int, str]:
    """Return the exit code and the message that an error of the command line ends with."""
    match error:
        case NoiseformError():
            return error.exit_code, str(error)
        case Terminated():
            return 128 + error.signal, "terminated" if error.signal == signal.SIGTERM else "hung up"
        case KeyboardInterrupt() | click.Abort():
            return 130, "interrupted"
        case SystemExit():
            return (error.code, "") if isinstance(error.code, int) else (1 if error.code else 0, str(error.code or ""))
        case BrokenPipeError():
            # What is still buffered must not fail once more when Python shuts down.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141, ""
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return 2, ""
        case click.UsageError():
            named = ("noiseform", context.invoked_subcommand if context else None)
            command = error.ctx.command_path if error.ctx else " ".join(filter(None, named))
            return 2, f"{error.format_message().rstrip('.')}; see {command} --help"
        case click.ClickException():
            return 2, error.format_message()
        case MemoryError():
            return ResourceError.exit_code, "memory ran out; make less at a time (--count, --batch-size)"
        case OSError() if error.errno in NO_ROOM:
            file = f"{error.filename}: " if error.filename else ""
            return ResourceError.exit_code, f"{file}{error.strerror}; make room and try again"
        case OSError() if error.filename == STANDARD_OUTPUT:
            return ResourceError.exit_code, f"{error.filename}: {error.strerror}; send it elsewhere and try again"
    plugin = context.meta.get(PLUGIN_KEY) if context else None
    what = f"{type(error).__name__}: {error}"
    if plugin:
        return PluginError.exit_code, f"command of plugin {plugin} raised {what}; tell its author (--debug shows where)"
    return 1, f"{what}; this is a bug, run again with --debug and report it"


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread when SIGINT comes, and Terminated when another that ends does.

    While numpy or torch is imported the process ends at once in place of it: they call Python from C that takes an
    exception for a damaged installation, loses it, or aborts. There is nothing to clean up by then, since whatever
    writes needs them first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int) -> None:
        error = KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
        if any(map(_being_imported, ("numpy", "torch"))):
            code, message = _verdict(error, None)
            with contextlib.suppress(OSError):
                os.write(2, f"error: {message}\n".encode())
            os._exit(code)
        raise error

    before = {number: signal.getsignal(number) for number in ending_signals()}
    if before[signal.SIGINT] is not signal.default_int_handler:  # ignored, as nohup has it, or a host's own
        del before[signal.SIGINT]
    for number in before:
        signal.signal(number, EndingHandler(interrupt))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _being_imported(name: str) -> bool:
    return getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings as one line each, and those of noiseform every time."""

    def show(message: Warning | str, *where: object) -> None:
        with heard_or_not():
            click.echo(f"warning: {printable(str(message), MAX_MESSAGE)}", err=True)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module=rf"{re.escape(PACKAGE)}\.")
        warnings.showwarning = show  # type: ignore[assignment]  # which takes more than we look at
        yield


if __name__ == "__main__":
    sys.exit(main())
