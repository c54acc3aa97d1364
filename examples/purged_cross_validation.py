# %% [markdown]
# # Do past returns tell which barrier comes first?
#
# Labels of several pairs, a small model, and a cross-validation that does not fool itself. A label looks ahead: its
# life goes from the entry to `etb_end_ts`, the touch of a barrier or the horizon end. A row whose life overlaps that of
# a test row knows part of its answer, so it may not train (López de Prado 2018, Advances in Financial Machine Learning,
# ch. 7). Nor may a row that begins less than an embargo after a test row has ended.
#
# Needs labels, such as `label-assets demo` makes, and `pip install 'label-assets[local,examples]'`. Runs as a script,
# and as a notebook wherever cells begin with `# %%` (VS Code, Spyder, PyCharm, Jupyter with jupytext).

# %%
import numpy as np
import pandas as pd
from purgedcv import PurgedKFold
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from label_assets.client import load

PAIRS = ["EURUSD", "GBPUSD", "USDJPY"]
GRANULARITY = "H4"
FOLDS = 6
EMBARGO = pd.Timedelta("2D")
CLASSES = [-1, 0, 1]

# %% [markdown]
# ## Labels
#
# All rows, for features need an unbroken series of candles; which of them train is decided below.

# %%
rows = load(
    PAIRS,
    GRANULARITY,
    columns=[
        *("entry_ts", "entry_price", "atr", "etb_upper", "etb_lower"),  # known at entry
        *("enhanced_triple_barrier_label", "etb_end_ts", "average_uniqueness", "window_status"),
    ],
).reset_index()

# %% [markdown]
# ## Features
#
# `entry_price` is the candle's close and `atr` a mean over this candle and the ones before; so whatever is made of this
# row and earlier ones is known at the entry. *geometry* is how far away the barriers are: it tells which one is likely
# to be touched, in any market, and no skill is needed for that. *past* is what a trader would call a signal.

# %%
by_pair = rows.groupby("instrument_id", observed=True)
log_price = np.log(rows["entry_price"])
atr_share = rows["atr"] / rows["entry_price"]
geometry = pd.DataFrame(
    {
        "up": (rows["etb_upper"] - rows["entry_price"]) / rows["atr"],
        "down": (rows["entry_price"] - rows["etb_lower"]) / rows["atr"],
    }
)
past = pd.DataFrame(
    {
        f"return_{n}": (log_price - log_price.groupby(rows["instrument_id"], observed=True).shift(n))
        / (atr_share * np.sqrt(n))
        for n in (1, 6, 30, 120)
    }
)
past["atr_ratio"] = np.log(rows["atr"] / by_pair["atr"].shift(30))
past["hour"] = rows["ts"].dt.hour
features = pd.concat([geometry, past], axis=1)

# %% [markdown]
# ## Rows that train
#
# Complete windows only, ordered by time over all pairs: they are tested together, so a fold is a stretch of time. The
# weight of a row is `average_uniqueness`: what it does not share with the labels that live at the same time.

# %%
usable = (rows["window_status"] == "complete") & rows["average_uniqueness"].notna() & features.notna().all(axis=1)
order = rows.index[usable][np.argsort(rows.loc[usable, "entry_ts"], kind="stable")]
rows, features = rows.loc[order].reset_index(drop=True), features.loc[order].reset_index(drop=True)
target = rows["enhanced_triple_barrier_label"].to_numpy(dtype=np.int64)
weight = rows["average_uniqueness"].to_numpy(dtype=np.float64)
entry, end = rows["entry_ts"], rows["etb_end_ts"]
week = (entry - pd.Timestamp(0, tz="UTC")) // pd.Timedelta("7D")

purged_folds = list(
    PurgedKFold(FOLDS, prediction_times=entry, evaluation_times=end, embargo=EMBARGO).split(features, target)
)
unpurged_folds = list(KFold(FOLDS).split(features))
shuffled_folds = list(KFold(FOLDS, shuffle=True, random_state=0).split(features))

# %% [markdown]
# ## Scores
#
# The score is the logarithmic loss [nats] that is saved against the class frequencies of the training rows: 0 is no
# skill, above 0 is skill. Rows of one week move together, so the standard error is that of independent weeks.


# %%
def losses(folds, names, model) -> np.ndarray:
    """Logarithmic loss of each row, predicted by a model that was fitted without its fold; no names: frequencies."""
    found = np.full(len(rows), np.nan)
    for train, test in folds:
        if names:
            fitted = model.fit(features.loc[train, names], target[train], **{weight_name(model): weight[train]})
            chances = fitted.predict_proba(features.loc[test, names])
        else:
            counts = np.bincount(target[train] + 1, weight[train], minlength=len(CLASSES))
            chances = np.tile(counts / counts.sum(), (len(test), 1))
        found[test] = -np.log(np.clip(chances[np.arange(len(test)), target[test] + 1], 1e-6, 1))
    return found


def weight_name(model) -> str:
    """A pipeline hands the weights to its last step by that step's name."""
    return f"{model.steps[-1][0]}__sample_weight" if hasattr(model, "steps") else "sample_weight"


def saved(loss: np.ndarray, against: np.ndarray) -> tuple[float, float]:
    """Weighted mean of what is saved, and its standard error over weeks."""
    difference = against - loss
    mean = np.average(difference, weights=weight)
    of_weeks = pd.Series(weight * (difference - mean)).groupby(week).sum()
    return float(mean), float(np.sqrt((of_weeks**2).sum()) / weight.sum())


# %%
linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
forest = ExtraTreesClassifier(100, min_samples_leaf=5, max_features=0.5, random_state=0)
every = list(features)

frequencies = losses(purged_folds, [], None)
nearness = losses(purged_folds, list(geometry), linear)
linear_all = losses(purged_folds, every, linear)
forest_all = losses(purged_folds, every, forest)
forest_random = losses(shuffled_folds, every, forest)
scores = {
    "linear, distances of the barriers, against frequencies": saved(nearness, frequencies),
    "linear, past added, against the distances alone": saved(linear_all, nearness),
    "forest, all features, against frequencies": saved(forest_all, frequencies),
    "the same forest, folds in time but not purged": saved(losses(unpurged_folds, every, forest), frequencies),
    "the same forest, folds at random": saved(forest_random, frequencies),
    "what folds at random pretend, against purged ones": saved(forest_random, forest_all),
}

# %%
kept = sum(len(train) for train, _ in purged_folds) / sum(len(train) for train, _ in unpurged_folds)
share = np.bincount(target + 1, weight, minlength=len(CLASSES)) / weight.sum()
span = f"{entry.min():%Y-%m-%d} to {end.max():%Y-%m-%d}"
print(f"{len(rows):,} complete windows of {', '.join(PAIRS)}, {GRANULARITY}, {span}")
print(f"lower {share[0]:.1%}, neither {share[1]:.1%}, upper {share[2]:.1%}; purging and embargo drop {1 - kept:.1%}")
print("\nlogarithmic loss saved [nats], ± standard error")
for name, (mean, error) in scores.items():
    print(f"{name:<58}{mean:+.4f} ± {error:.4f}")

# %% [markdown]
# ## What it says
#
# On the synthetic market of the demo, which is close to a random walk, the second line is zero within its error: past
# returns add nothing. The first line is large, and no edge: the nearer barrier is touched more often. The forest is no
# better. Folds at random let it find the neighbors of each test row, which share its future: what they show on top
# is not skill. Folds in time leak at their edges only: with few folds and short labels purging drops few rows and
# changes little, and it costs little. It matters more with long horizons and many folds.
