"""The ready study's findings, as the plain values that the Results page takes."""

from app.pages.results.figures import Net, Preferences
from app.studies.ready import Studies


def preferences(studies: Studies) -> Preferences | None:
    """Preferences on the study's first question; None while there is no ready study."""
    latest = studies.found()
    if not latest or not latest.questions:
        return None
    answered = [standing for standing in latest.questions[0].standings if standing.answers]
    net = {one.arm: Net(*(2 * share - 1 for share in (one.win_rate, one.low, one.high))) for one in answered}
    return Preferences(net, votes=sum(standing.answers for standing in answered) // 2)  # each answer is about two arms
