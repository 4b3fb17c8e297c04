"""The weights of a pre-trained encoder's layers: which of them carry what is learnt."""

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from avpretext.evaluation import printed
from avpretext.evaluation.formats import decimal
from avpretext.evaluation.layer_weights import layer_rows
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows
from avpretext.report.theme import COLOURS, figure, inline, style
from avpretext.systems import SCRATCH

WIDTH, HEIGHT = 420, 190


def chart_of(run: OpenRun, one: Evaluated, name: str) -> Markup | None:
    """Return the weights of a setting by layer, a line per initialisation; None where no layers are mixed."""
    rows = layer_rows(run, one)
    if not rows:
        return None
    by_start: dict[str, Rows] = {}
    for row in rows:
        by_start.setdefault(row["initialisation"], []).append(row)
    with style():
        chart, (axes,) = figure(WIDTH, HEIGHT)
        for start, of_start in by_start.items():
            layers, weights = ([row[column] for row in of_start] for column in ("layer", "weight"))
            colour = COLOURS["muted" if start == SCRATCH else "accent"]
            axes.plot(layers, weights, "o-", color=colour, linewidth=1.6, markersize=3.5)
        axes.axhline(1 / len(of_start), color=COLOURS["muted"], linewidth=1, linestyle=(0, (3, 3)), zorder=0)
        axes.set_title(f"Weight of each layer of {rows[0]['encoder']}", fontweight="bold")
        axes.set_xlabel("layer (0: the input of the first)")
        axes.set_ylim(0, 1.15 * max(row["weight"] for row in rows))
        axes.grid(axis="y", linewidth=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(13, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        spoken = "; ".join(_spoken(printed.start_name(start, run.config), found) for start, found in by_start.items())
        return inline(chart, name, f"Weights of layers: {spoken}")


def _spoken(name: str, rows: Rows) -> str:
    heaviest = max(rows, key=lambda row: row["weight"])
    return f"{name}: layer {heaviest['layer']} has the most, {decimal(heaviest['weight'], 3)}"
