"""What follows from a rater's last answer: whether it counts, and whether the study has seen enough."""

from study.store.database import Database
from study.store.frames import read_tables, read_votes
from study.store.leaving import mark_excluded
from study.store.raters import Participation
from study.store.store import Store
from study.store.studies import StudyInfo, close_within


def get_ready() -> None:
    """What takes seconds to import is there before the first rater finishes."""
    import study.stats  # noqa: F401


def settle(store: Store, rater: Participation) -> None:
    """For a rater who has finished. Whoever the rules leave out makes room for somebody else."""
    study = rater.study
    if any(limit is not None for limit in vars(study.spec.exclusions).values()):
        from study.stats import exclude  # takes seconds to import, and the rater does not wait

        _, flow = exclude(read_votes(store.database, study, rater.id), study.spec.exclusions)
        mark_excluded(store.database, rater.id, ", ".join(rule.name for rule in flow.rules if rule.broken_by))
    stop_if_decided(store, study)


def stop_if_decided(store: Store, study: StudyInfo) -> bool:
    """Closes the study, and says why, if its rule is the e-value and the finished raters have reached 1 / alpha.

    Whoever has begun may finish; the report shows the evidence at its highest, which is what the rule speaks of.
    """
    if study.spec.stopping.rule != "e-value" or study.closed:
        return False
    reached = e_value(store.database, study)
    if reached < 1 / study.spec.stopping.alpha:
        return False
    with store.database.write() as session:
        close_within(session, study, f"e-value {reached:.6g}", store.key)
    return True


def e_value(database: Database, study: StudyInfo) -> float:
    """The highest so far, of the rule's question and the raters that count."""
    from study.stats import exclude  # takes seconds to import; most studies stop by quota
    from study.stats.answers import comparisons
    from study.stats.evalues import highest

    tables = read_tables(database, study)
    if tables.votes.empty:
        return 1.0
    kept, _ = exclude(tables.votes, study.spec.exclusions)
    question = study.spec.stopping.question or study.spec.questions[0].key
    finished = set(tables.raters.loc[tables.raters["status"] == "finished", "rater"])
    return highest(comparisons(kept, question), *study.spec.arms, finished)
