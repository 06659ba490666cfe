"""What the ready study found, as the plain table that the Results page takes."""

from app.pages.results.figures import Preferences
from app.studies.ready import Studies


def preferences(studies: Studies) -> Preferences | None:
    """By the study's first question; None while there is no ready study."""
    found = studies.found()
    if not found or not found.questions:
        return None
    answered = [standing for standing in found.questions[0].standings if standing.answers]
    net = {standing.arm: 2 * standing.win_rate - 1 for standing in answered}
    return Preferences(net, votes=sum(standing.answers for standing in answered) // 2)  # each is about two arms
