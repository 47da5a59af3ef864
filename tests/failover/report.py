"""What was seen, as Markdown, and whether onstage is ahead."""

import collections
import statistics

# Of a fault, for one server: seconds until it left the answer and was back in it (None: it did not), how often it was
# answered while it still failed, how often others left, connections to it while it failed, and how long it failed.
Outcome = collections.namedtuple("Outcome", "left back again others connections failed")
# Under loss, for one server: how often members left and for how many seconds, connections, and member-hours of it all.
Withdrawn = collections.namedtuple("Withdrawn", "times seconds connections hours")
NEVER = float("inf")
DECIDES = "onstage short"  # whose time to leave the exit code tells


def report(servers, struck, lost, how, limit):
    """Prints it all; whether onstage at its short settings leaves sooner than any peer."""
    names = [server.name for server in servers.values()]
    rounds = len(next(iter(struck.values())))
    for title, first, which in (("leaves the answer", "fault", 0), ("is back in it", "after it", 1)):
        print(f"### Seconds until a member {title}, median / worst of {rounds}\n")
        rows = [[fault, *(spread(times(outcomes, place, which), limit) for place in servers)]
                for fault, outcomes in struck.items()]
        show([[first, *names], *rows])
    print(f"### Healthy members withdrawn ({how})\n")
    show([["", *names], *withdrawals(servers, struck, lost)])
    print("### Connections to a member, a minute\n")
    show([["", *names], *connections(servers, struck, lost)])
    print("### Ahead or not\n")
    if len({bool(server.program) for server in servers.values()}) == 1:
        print("There is nobody to compare.")
        return True
    return verdicts(servers, struck, lost)


def times(outcomes, place, which):
    """To leave (0) or to be back (1); who never left is not back either, which is told once."""
    outcomes = [outcome[place] for outcome in outcomes]
    if which == 1:
        outcomes = [outcome for outcome in outcomes if outcome.left is not None]
    return [NEVER if outcome[which] is None else outcome[which] for outcome in outcomes]


def spread(values, limit):
    """Median / worst."""
    if not values:
        return "–"
    return " / ".join(f"> {limit:.0f}" if value == NEVER else f"{value:.2f}"
                      for value in (statistics.median(values), max(values)))


def withdrawals(servers, struck, lost):
    for share, seen in lost.items():
        hours = next(iter(seen.values())).hours
        yield [f"{share} % loss, in {hours:.1f} member-hours", *(f"{seen[place].times:,}" for place in servers)]
        yield ["– a member-hour", *(f"{seen[place].times / hours:.2f}" for place in servers)]
        yield ["– seconds, a member-hour", *(f"{seen[place].seconds / hours:.1f}" for place in servers)]
    yield ["beside a failing member", *(str(total(struck, place, "others")) for place in servers)]
    yield ["failing, and answered again", *(str(total(struck, place, "again")) for place in servers)]


def connections(servers, struck, lost):
    for share, seen in lost.items():
        yield [f"healthy, {share} % loss", *(f"{a_minute(seen[place]):.1f}" for place in servers)]
    rates = (total(struck, place, "connections") / total(struck, place, "failed") * 60 for place in servers)
    yield ["failing", *(f"{rate:.1f}" for rate in rates)]


def total(struck, place, what):
    return sum(getattr(outcome[place], what) for outcomes in struck.values() for outcome in outcomes)


def a_minute(seen):
    return seen.connections / seen.hours / 60


def verdicts(servers, struck, lost):
    """A line for each measure and each setting of onstage."""
    ahead = True
    for verb, which in (("leaves", 0), ("is back", 1)):
        for fault, outcomes in struck.items():
            figures = {place: times(outcomes, place, which) or [NEVER] for place in servers}
            won = verdict(f"{verb}, {fault}", figures, servers, "s")
            ahead &= which == 1 or won.get(DECIDES, True)
    for share, seen in lost.items():
        if share:
            rates = {place: [seen[place].times / seen[place].hours] for place in servers}
            verdict(f"withdrawn, {share} % loss", rates, servers, "a member-hour")
    verdict("connections, healthy", {place: [a_minute(lost[0][place])] for place in servers}, servers, "a minute")
    return ahead


def verdict(measure, figures, servers, unit):
    """Compares medians, of each setting of onstage with whichever peer's is least; tells which settings are ahead."""
    medians = {place: statistics.median(values) for place, values in figures.items()}
    best = min((place for place in figures if servers[place].program), key=medians.get)
    won = {}
    for place, own in medians.items():
        if servers[place].program:
            continue
        word = "ahead" if own < medians[best] else "level" if own == medians[best] else "behind"
        less = sum(one < other for one, other in zip(figures[place], figures[best]))
        rounds = f", less in {less} of {len(figures[place])} rounds" if len(figures[place]) > 1 else ""
        rivals = f"{servers[place].name} {own:.2f}, {servers[best].name} {medians[best]:.2f} {unit}"
        print(f"- {measure}: {rivals}: **{word}**{rounds}")
        won[servers[place].name] = word == "ahead"
    return won


def show(rows):
    """A table that Markdown knows."""
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    for cells in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |")
    print()
