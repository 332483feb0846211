"""The tables of `test_words.py`: what is not said, and what is said instead."""

# What to say -> the words that it replaces, alone or within a name (`loud_sources`, `Overhearing`):
# metaphors, people, and names of the past.
BANNED_WORDS = {
    "probe": "survey surveys surveyed",
    "record, recording": "overhear overhears overheard overhearing hearsay",
    "receive from, attend to": (
        "hear hears heard hearing listen listens listened listening listener listeners deaf"
    ),
    "send": "speak speaks speaker speakers",
    "dry run": "rehearse rehearses rehearsed rehearsal",
    "large, strong": "loud louder loudest",
    "is pruned, is dropped, ends": "die dies dying doomed",
    "remain, is": "lives living",
    "test, try, result": "judge judges judged verdict verdicts court",
    "predicted": "foresight foreseen foresee foresees",
    "sum of scores": "tally tallies",
    "keep, store, memory": "remember remembers remembered remembering",
    "request, require, pass, call": "ask asks asked asking",
    "guarantee, predict": "promise promises promised promising",
    "trust, expect": "believe believes believed",
    "need, depend on": "care cares",
    "given": "told",
    "a column, none, no process": "nobody somebody everybody whom whoever",
    "adjacent": "shoulder shoulders",
    "mlp_out": "thought thoughts",
}
# Pattern -> what to say instead.
BANNED_PHRASES = {
    r"\bof everything random\b": "seed of the run",
    r"\bwhat (?:else )?is to (?:be said|say)\b": "a note, the metrics",
    r"\bin the making\b": "kept while it is built",
    r"\bwhat is learned\b": "the task",
    r"\bknows? (?:no|nothing|neither)\b": "has no, is independent of, ignores",
    r"\bneither a death nor a birth\b": "counts as neither",
    r"\bdead\b(?! columns?)": "dropped, pruned",
    # A brain at rest is in the resting state.
    r"(?<![a-z])resting(?![-_ ]?state)": "cooling down",
    r"\bsays so\b": "warns, raises an error, names it",
}
# Names of functions, classes, parameters and fields that have given way -> those of today.
FORMER_NAMES = {
    "Choice": "SwapSelector",
    "Exchange": "AttentionRecord",
    "Foresight": "PredictedChange",
    "Lives": "Lifetimes",
    "Room": "Limits",
    "Survey": "Probe",
    "Tally": "ScoreSum",
    "Units": "EdgePairs",
    "Verdict": "TrialResult",
    "among": "random_ids",
    "aside": "scoring_set",
    "changing": "plasticity",
    "decide": "propose_swaps",
    "ends_in": "synaptic_elements_in",
    "ends_out": "synaptic_elements_out",
    "lives": "edge_lifetimes",
    "slots": "swap",
    "soft": "gumbel_scores",
    "spread": "stratified_targets",
    "swapped": "with_swapped_columns",
    "walk": "iter_slices",
    "walk_together": "iter_slices",
}
# Reason -> the public names of several modules that it allows. Ops need no line: their backends
# share the name of the op.
SHARED_BECAUSE = {
    "a command and its parser have the name of what the command runs": (
        "bench build_kernels collect connectome evaluate experiment report resume train"
    ),
    "a picture has the name of what it shows": "activity churn responses wiring",
    "a preset has the name of the criterion of its paper": "mest",
    "a proposal has the name of its distribution": "Mixture uniform",
    "checkpoint.load fills a model, graphcolumns.load builds it first": "load",
}
