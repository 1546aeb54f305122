"""Alerts, the outbox of messages, and the tokens and decisions of operators.

alert_lifecycle   opens, escalates and clears alerts; changes their state
alert_queries     reads alerts as operators see them
public_alerts     alerts as the public may see them
voter_share       the alert about a voter with more than a fifth of all votes
voter_record      counts of the votes behind an alert
outbox            messages that must still reach a topic
operator_tokens   tokens that let operators decide over HTTP
operators_log     every decision, login, token, export and erasure, append-only
"""
