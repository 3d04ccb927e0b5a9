"""``noiseform evaluate``: a pipeline measured on real media."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from ..registration.attribution import plugins_named

if TYPE_CHECKING:
    from ..pipeline.pipeline import Pipeline

__all__ = ["evaluate"]

MAX_COUNT = 1_000_000


@click.command()
@click.argument("pipeline")
@click.option("--data", required=True, metavar="DIR", help="Folder or tar archive of real media.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="What to measure. [default: all that fit]")
@click.option("-n", "--count", type=int, default=32, show_default=True, help="Real items, and items made, at most.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn and made.")
@click.option("--batch-size", type=int, default=1, show_default=True, help="Items a call of the network.")
@click.option("--device", default="cpu", show_default=True, help="Where the network runs.")
@click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE", help="In the pipeline, data.… or metrics.NAME.…"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each figure.")
@plugins_named("evaluate")
def evaluate(
    pipeline: str,
    data: str,
    metrics: tuple[str, ...],
    count: int,
    seed: int,
    batch_size: int,
    device: str,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure PIPELINE on real media: how likely it takes them to be, and how what it makes compares with them.

    The data are read as the model's training data were, unless data.… says otherwise; items come from all over them.

    \b
    noiseform evaluate garments --data fashion_mnist --metric likelihood
    noiseform evaluate ./runs/digits --data recordings --set metrics.likelihood.method=bound
    """
    from ..data.dataset import DataConfig
    from ..diffusion.noise import Key
    from ..errors import ConfigError
    from ..machine.memory import keep_large_blocks
    from ..naming import printable
    from ..pipeline.evaluation import evaluated, real_items
    from ..pipeline.loading import described
    from ..registration.config import checked
    from ..storage.model_folder import read_model_folder
    from ..verbs.loader import Loader
    from .counting import counted

    Key(seed)  # refuses a seed out of bounds before anything is loaded
    for name, number in (("count", count), ("batch_size", batch_size)):
        if not 1 <= number <= MAX_COUNT:
            raise ConfigError(f"{name}: expected a whole number from 1 to {MAX_COUNT}, got {number}")
    own, of_data, of_metrics = _sorted(settings)
    configured, folders = described(pipeline, own)
    modality, first = configured.modality, configured.stages[0].name
    trained_on = cast(Mapping[str, object], read_model_folder(folders[first]).facts.get("data", {}))
    chosen = _metrics(metrics, modality, of_metrics)
    config = checked(DataConfig, {**trained_on, "flip": False, **of_data}, what="data")
    keep_large_blocks()
    loaded = Loader(modality).load(pipeline, settings=own, device=device)
    if not metrics:
        chosen = dict(_measuring(chosen, loaded))
    found = loaded.modality.dataset(data, loaded.spec, config)
    real = real_items(loaded, found, count)
    told_of = ", ".join(map(printable, chosen))
    click.echo(f"{len(real)} of {len(found)} items of {printable(data)}: {told_of}", err=True)
    with counted() as tell:
        for name, figures in evaluated(loaded, chosen, real, seed=seed, batch_size=batch_size, tell=tell):
            for figure, value in figures.items():
                if as_json:
                    told = {"pipeline": pipeline, "metric": name, "figure": figure, "value": value, "items": len(real)}
                    click.echo(json.dumps(told))
                else:
                    click.echo(f"{name}  {printable(figure)}  {value:.6g}")


def _measuring(metrics: Mapping[str, Any], pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    """Give the metrics that can measure a pipeline, and tell of the others.

    Raises:
        ConfigError: there is none.
    """
    from ..errors import ConfigError
    from ..pipeline.evaluation import refuse_unmeasured

    left = len(metrics)
    for name, metric in metrics.items():
        if getattr(metric, "needs", "made") == "model":
            try:
                refuse_unmeasured(pipeline)
            except ConfigError as error:
                left -= 1
                if not left:
                    raise
                click.echo(f"{name} left out: {error}", err=True)
                continue
        yield name, metric


def _sorted(settings: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, object], dict[str, dict[str, object]]]:
    """Return the settings of the pipeline, those of its data, and those of metrics by their name."""
    from ..errors import ConfigError
    from ..registration.settings import apply_settings, parse_setting

    tables: dict[str, Any] = {"data": {}, "metrics": {}}
    own = []
    for setting in settings:
        path, _ = parse_setting(setting)
        if path[0] in tables:
            tables = apply_settings(tables, [setting])
        else:
            own.append(setting)
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"--set {key}={table!r:.80}: expected a path into it, such as data.labels=none")
    for name, table in tables["metrics"].items():
        if not isinstance(table, dict):
            raise ConfigError(f"--set metrics.{name}={table!r:.80}: expected metrics.NAME.PARAMETER=VALUE")
    return tuple(own), tables["data"], tables["metrics"]


def _metrics(wanted: tuple[str, ...], modality: str, settings: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """Return the metrics that are asked for, or all that fit."""
    from ..errors import ConfigError
    from ..pipeline.evaluation import fits
    from ..registration.build import build_part, find
    from ..registration.registry import current

    names = wanted or tuple(part.full_name for part in current().plugins.parts("metric"))
    for name in settings:
        find("metric", name)  # an unknown one is told with its nearest
    chosen = {}
    for name in dict.fromkeys(names):
        short = name if wanted else name.rpartition("/")[2]
        table = {**settings.get(short, {}), **settings.get(name, {})}
        metric = build_part({"use": name, **table}, "metric", where="--set" if table else "")
        if fits(metric, modality):
            chosen[short if short not in chosen else name] = metric
        elif wanted:
            raise ConfigError(
                f"metric {name!r}: it measures {metric.modality}, and the pipeline makes {modality}; name another"
            )
    unused = settings.keys() - chosen.keys()
    if unused:
        raise ConfigError(f"--set metrics.{min(unused)}: this metric is not measured; name it by --metric")
    if not chosen:
        raise ConfigError(f"evaluate: no metric measures {modality}; noiseform list metric shows all")
    return chosen
