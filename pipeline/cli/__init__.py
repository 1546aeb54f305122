"""`integrity`: one command, a verb for each thing that people do.

main.py       the command itself: its verbs, errors as an exit status and a sentence
verbs.py      which module brings which verb; every.py: with all of them loaded
app.py        what every verb shares: options, --json
stream.py     publish, work, monitor
board.py      refresh, leaderboard
ledger.py     verify, bundle, receipt; custody.py: audit, retract, erase, rotate-key, witness
rate.py       rate: a battle file, no store
sweep.py      sweep: the slow audits and the policy
history.py    history: published snapshots of a board, no store
alerts.py     alerts and exclusions
operate.py    exporter, doctor, pseudonym, rejects
bench.py      measurements as ratios within one run; bench_ratings.py: beside the peers
demo.py       the whole story on real pair counts
show.py       how things look in a terminal
"""
