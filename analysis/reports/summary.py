"""The report in a few sentences, for who reads nothing else."""

from .monthly import BUCKETS, Monthly
from .words import Words


def summary(report: Monthly, words: Words) -> list[str]:
    """Sentences, the most important first; each stands for itself."""
    told = [_asked(report, words)]
    for part in (_talked, _answered, _waiting, _grown, _together, _crossed):
        sentence = part(report, words)
        if sentence:
            told.append(sentence)
    return told


def _asked(report: Monthly, words: Words) -> str:
    month = words.month(report.period.first_day)
    if not report.proposals:
        return words._("In %(month)s nobody made a new proposal.", month=month)
    sentence = words.n(
        "In %(month)s one new proposal was made.",
        "In %(month)s %(num)s new proposals were made.",
        report.proposals,
        month=month,
    )
    earlier = words.month(report.period.before().first_day)
    more = report.proposals - report.proposals_before
    if more > 0:
        change = words.n(
            "That is one more than in %(month)s.", "That is %(num)s more than in %(month)s.", more, month=earlier
        )
    elif more < 0:
        change = words.n(
            "That is one fewer than in %(month)s.", "That is %(num)s fewer than in %(month)s.", -more, month=earlier
        )
    else:
        change = words._("That is as many as in %(month)s.", month=earlier)
    return f"{sentence} {change}"


def _talked(report: Monthly, words: Words) -> str:
    return words.n("There was one comment.", "There were %(num)s comments.", report.comments) if report.comments else ""


def _answered(report: Monthly, words: Words) -> str:
    if not report.answered:
        return words._("No proposal got an official answer.")
    return words.n("One proposal got an official answer.", "%(num)s proposals got an official answer.", report.answered)


def _waiting(report: Monthly, words: Words) -> str:
    if not report.unanswered:
        return words._("No proposal waits for an answer.")
    sentence = words.n(
        "One proposal waits for an official answer.",
        "%(num)s proposals wait for an official answer.",
        report.unanswered,
    )
    long = sum(each.counts[-1] for each in report.waiting)
    if not long:
        return sentence
    return f"{sentence} " + words.n(
        "One of them has waited for more than %(days)s days.",
        "%(num)s of them have waited for more than %(days)s days.",
        long,
        days=words.number(BUCKETS[-1]),
    )


def _grown(report: Monthly, words: Words) -> str:
    if not report.grown:
        return ""
    first = report.grown[0]
    return words.n(
        "Support grew most for “%(title)s” (%(instance)s): one support more.",
        "Support grew most for “%(title)s” (%(instance)s): %(num)s supports more.",
        first["growth"],
        title=first["title"] or words._("without a title"),
        instance=report.title(first["instance"]),
    )


def _together(report: Monthly, words: Words) -> str:
    same = sum(1 for each in report.same if each["decision"] == "same")
    if not same:
        return ""
    return words.n("One idea was made on two platforms.", "%(num)s ideas were made on two platforms.", same)


def _crossed(report: Monthly, words: Words) -> str:
    copies = sum(each["copies"] for each in report.crossed)
    if not copies:
        return ""
    sentence = words.n(
        "One proposal was copied to another platform.", "%(num)s proposals were copied to another platform.", copies
    )
    if not report.came_back:
        return sentence
    return f"{sentence} " + words.n(
        "One official answer came back from a copy.",
        "%(num)s official answers came back from copies.",
        report.came_back,
    )
